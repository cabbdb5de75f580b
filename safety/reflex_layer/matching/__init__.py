"""Fast pattern matching that sees through disguised letters."""
