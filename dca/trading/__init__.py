"""Inside main_app: decide, claim, send, book."""
