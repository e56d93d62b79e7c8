"""Labs, where nodes come from."""
