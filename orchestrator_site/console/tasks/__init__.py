"""The console's pages about tasks."""
