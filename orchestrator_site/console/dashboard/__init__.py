"""The console's first page. All its figures come from indexes, so that it is fast."""
