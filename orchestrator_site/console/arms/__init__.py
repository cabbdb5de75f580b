"""The console's pages about arms."""
