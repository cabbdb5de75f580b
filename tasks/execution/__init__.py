"""How workers carry out tasks: claims, calls, budgets, recovery."""
