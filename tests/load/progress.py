"""What the person at the terminal may know meanwhile."""

import sys


def tell(sentence: str) -> None:
    """Say it apart from the tables, which may go to a file."""
    sys.stderr.write(f"{sentence} ...\n")
    sys.stderr.flush()
