"""Clients: their keys, what each key may do, and their limits."""
