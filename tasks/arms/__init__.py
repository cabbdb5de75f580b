"""Arms: agents behind HTTP that carry out work; docs/arms.md describes them."""
