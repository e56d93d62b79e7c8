"""Analysis of a run's figures, and what shows it. pandas lives in `reading` and nowhere else."""
