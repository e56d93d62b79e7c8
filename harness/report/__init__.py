"""Analysis of a run's figures, and what shows it. pandas lives here and nowhere else."""
