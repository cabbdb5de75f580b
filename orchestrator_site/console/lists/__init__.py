"""What the lists of the console share."""
