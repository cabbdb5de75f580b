"""What only development needs. Importing it needs no installed package."""
