"""Who provides the paths of profiles."""
