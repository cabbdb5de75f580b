"""Claiming a step: what is looked at, the choice of an arm, and what is written."""
