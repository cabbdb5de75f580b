"""Turns of the tests, where several processes run them: one marked `alone` runs beside no other.

Such a test has tight bounds on time, which the load of another test would break.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Wait until a test may run; one that runs alone holds back all others until it has ended.

    Args:
        folder: the same for all processes of a run.
        alone: whether no other test may run meanwhile.
    """
    with (folder / "door").open("w") as door, (folder / "room").open("w") as room:
        # A test that waits to be alone holds the door, so that later tests queue behind it.
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            # Closing would not be enough where the test has forked.
            fcntl.flock(room, fcntl.LOCK_UN)
