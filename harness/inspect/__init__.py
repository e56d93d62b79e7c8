"""Other uses of what a run stands on."""
