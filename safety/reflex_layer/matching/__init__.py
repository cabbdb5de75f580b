"""Texts against patterns, fast and whatever letters they are written in."""
