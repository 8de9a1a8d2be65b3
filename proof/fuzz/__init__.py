"""./bot fuzz: hostile input for everything that reads something from outside."""
