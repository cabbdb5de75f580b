"""The console: Django's admin with our own pages."""
