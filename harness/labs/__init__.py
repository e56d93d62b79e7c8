"""Where the two nodes come from."""
