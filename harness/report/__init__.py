"""What a run's figures say, and how that is shown. pandas lives here and nowhere else."""
