"""Prompt injection in texts."""
