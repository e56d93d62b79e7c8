"""Plots: figures as pictures. No library draws them: a chart is 16 kB like that, and a page of them needs no script."""
