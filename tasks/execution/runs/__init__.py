"""What a run does after each of its steps: plans, checks, repairs, decisions, and its end."""
