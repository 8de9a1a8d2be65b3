"""Keeps main_app running: starts it, and ends it when it hangs."""
