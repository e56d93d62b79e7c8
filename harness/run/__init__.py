"""The loop: lab up, paths up, trials, down again."""
