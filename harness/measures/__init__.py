"""What is measured: measures, their factors and their metrics, in registries."""
