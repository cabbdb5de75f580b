"""The limit on the open files of this process."""

import contextlib
import resource
from collections.abc import Iterator

FILES = 4096


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """Allow this process the connections of many clients."""
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, FILES)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
