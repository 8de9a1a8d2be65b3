"""Commands for the rows of dca_assets, and the ladder that a row's settings produce."""
