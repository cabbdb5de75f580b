"""The console's first page: how things stand, from what indexes give quickly."""
