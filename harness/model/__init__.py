"""The words of the harness as values; standard library only."""
