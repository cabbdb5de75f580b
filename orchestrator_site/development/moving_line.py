"""A progress line on the terminal."""

import shutil
from typing import Any, Self, TextIO


class MovingLine:
    """On a terminal, one line that is overwritten; elsewhere, a new line for each step.

    Other output to the terminal overwrites the line too.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._said = ""

    def say(self, busy_with: str, progress: str = "") -> None:
        """Show the current step and, on a terminal, its progress."""
        if self._is_terminal:
            text = f"{busy_with}: {progress}" if progress else busy_with
            columns = shutil.get_terminal_size().columns
            self._stream.write(f"{text[: columns - 1]}\033[K\r")
        elif busy_with != self._said:
            self._stream.write(f"{busy_with}\n")
        self._said = busy_with
        self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._is_terminal:
            self._stream.write("\033[K")
            self._stream.flush()
