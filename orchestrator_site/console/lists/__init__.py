"""Code that the lists of the console share."""
