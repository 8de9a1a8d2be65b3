"""Real processes under a nemesis: `./bot chaos`."""
