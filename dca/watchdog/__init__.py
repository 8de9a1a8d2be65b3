"""Keeps main_app running."""
