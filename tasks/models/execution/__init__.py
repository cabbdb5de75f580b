"""The tables of execution: arms, runs and all that belongs to them."""
