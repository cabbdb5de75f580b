"""The files in which each process keeps its counts, on a disk that may be full or missing.

prometheus_client maps sparse files into memory: on a full disk, the kernel kills the process that
writes to them (SIGBUS). Here the disk blocks are allocated before a file is mapped. If the disk is
full or the file was deleted, counts wait in memory and are written as soon as possible.
"""

import logging
import mmap
import os
import sys
import time
import weakref
from pathlib import Path
from typing import Any, Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

LOOKS_EVERY_SECONDS: Final = 2
_FIRST_BYTES: Final = 1 << 16
# The size of an entry without its key: the key's length, its padding, two numbers.
_ENTRY_BYTES: Final = 4 + 8 + 16


class MetricsFile(MmapedDict):
    """prometheus_client's file of one process and one kind of metric. Callers hold its lock."""

    _files: "weakref.WeakSet[MetricsFile]" = weakref.WeakSet()
    _is_trouble_logged = False

    def __init__(self, filename: str) -> None:
        self._path = Path(filename)
        self._f: Any = None
        self._positions: dict[str, int] = {}
        self._waiting: dict[str, tuple[float, float]] = {}
        self._looks_again_at = 0.0
        self._look_again()
        self._files.add(self)

    def read_value(self, key: str) -> Any:
        if key not in self._positions:
            self._waiting.setdefault(key, (0.0, 0.0))
            if self._f is not None:
                self._write_waiting_counts()
        return self._waiting.get(key) or super().read_value(key)  # type: ignore[no-untyped-call]

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if time.monotonic() >= self._looks_again_at:
            self._look_again()
        if key in self._positions:
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        else:
            self._waiting[key] = value, timestamp

    @classmethod
    def are_complete(cls) -> bool:
        """Return whether all counts of this process are in files that the metrics page reads."""
        return not any(one._waiting or not one._is_in_its_folder() for one in [*cls._files])

    def _look_again(self) -> None:
        """Write the waiting counts; start a new file if the old one was deleted."""
        self._looks_again_at = time.monotonic() + LOOKS_EVERY_SECONDS
        if self._f is not None and not self._is_in_its_folder():
            self._log_trouble("it was deleted")
            self._waiting |= {key: rest for key, *rest in self.read_all_values()}  # type: ignore
            self.close()  # type: ignore[no-untyped-call]
            self._positions = {}
        self._write_waiting_counts()

    def _is_in_its_folder(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._f.fileno()))
        except (OSError, AttributeError):
            return False

    def _write_waiting_counts(self) -> None:
        try:
            if self._f is None:
                self._open()
            while self._waiting:
                key, (value, timestamp) = next(iter(self._waiting.items()))
                self._make_room(key)
                super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
                del self._waiting[key]
        except OSError as error:
            self._log_trouble(error.strerror or str(error))
            return
        if MetricsFile._is_trouble_logged and self.are_complete():
            MetricsFile._is_trouble_logged = False
            logger.info("Metrics are written again")

    def _open(self) -> None:
        if not self._path.exists():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._create()
        try:
            super().__init__(str(self._path))  # type: ignore[no-untyped-call]
        except OSError:
            self._f = None
            raise

    def _create(self) -> None:
        """Create the file atomically, because other processes read every file in the folder."""
        unfinished = self._path.with_suffix(".new")
        try:
            with unfinished.open("wb") as file:
                _allocate(file.fileno(), _FIRST_BYTES)
            unfinished.rename(self._path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _make_room(self, key: str) -> None:
        capacity = self._capacity
        while self._used + len(key.encode()) + _ENTRY_BYTES > capacity:
            capacity *= 2
        if capacity > self._capacity:
            _allocate(self._f.fileno(), capacity)
            self._m = mmap.mmap(self._f.fileno(), capacity)
            self._capacity = capacity

    def _log_trouble(self, reason: str) -> None:
        if not MetricsFile._is_trouble_logged:
            MetricsFile._is_trouble_logged = True
            logger.warning(
                "Metrics cannot be written and are missing on /metrics",
                extra={"folder": str(self._path.parent), "reason": reason},
            )


def _allocate(descriptor: int, size_bytes: int) -> None:
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, size_bytes)
    else:
        os.ftruncate(descriptor, size_bytes)


def use_metrics_files() -> None:
    """Make prometheus_client use this class; call it before the first metric is created."""
    values.MmapedDict = MetricsFile  # type: ignore[attr-defined, assignment]
