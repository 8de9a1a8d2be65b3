"""integration_test.py's inside: numbered scenarios, run by the real scripts on a real database."""
