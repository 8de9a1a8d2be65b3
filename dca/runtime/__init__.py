"""How a script lives: settings, log, lock, clock, and the files in var/."""
