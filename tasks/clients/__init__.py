"""Clients: their keys and tokens, what each may do, and their limits."""
