"""Progress for the person at the terminal."""

import sys


def tell(sentence: str) -> None:
    """Write to standard error; the tables on standard output may go to a file."""
    sys.stderr.write(f"{sentence} ...\n")
    sys.stderr.flush()
