"""A small disk of the tests' own, to be filled."""

import contextlib
import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

BLOCK = bytes(65_536)


class Disk:
    """A small disk, and a balloon on it that takes all the room there is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._balloon = folder / "balloon"

    def fill(self) -> None:
        with self._balloon.open("wb", buffering=0) as balloon:
            for block in (BLOCK, b"x"):
                with contextlib.suppress(_DiskFull):
                    while True:
                        _write(balloon.fileno(), block)

    def make_room(self) -> None:
        self._balloon.unlink(missing_ok=True)

    def remount(self, option: str) -> None:
        """Make it `ro`, which holds for root too, or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.folder], check=True)


class _DiskFull(Exception):
    pass


def _write(descriptor: int, block: bytes) -> None:
    try:
        os.write(descriptor, block)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise _DiskFull from error


@contextlib.contextmanager
def mounted_disk(size: str) -> Iterator[Disk]:
    """Mount a disk of `size`, in the words of `mount`; skip the test where that is not allowed."""
    if os.geteuid() != 0:
        pytest.skip("a small disk takes root to mount")
    folder = Path(tempfile.mkdtemp(prefix="orchestrator-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"this machine lets nobody mount a disk: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()
