"""Code for development only. `installing` runs from here before any package is installed."""
