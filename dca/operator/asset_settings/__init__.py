"""The rows of dca_assets: add, set, and the ladder they come to."""
