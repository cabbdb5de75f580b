"""What `requirements.txt` and `requirements-dev.txt` promise."""

import re
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.environment import ROOT

# They come with the virtual environment itself.
OF_THE_ENVIRONMENT = {"pip", "setuptools"}


def lines_of(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def pinned() -> dict[str, str]:
    requirements = [
        Requirement(line.split("#")[0])
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in lines_of(name)
    ]
    return {
        canonicalize_name(requirement.name): str(requirement.specifier).removeprefix("==")
        for requirement in requirements
    }


def test_everything_installed_is_pinned_at_its_version() -> None:
    installed = {
        canonicalize_name(distribution.name): distribution.version
        for distribution in metadata.distributions()
    }
    assert {
        name: version for name, version in installed.items() if name not in OF_THE_ENVIRONMENT
    } == pinned()


def test_each_line_says_what_it_is_for() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in lines_of(name):
            assert re.fullmatch(r"[\w.\-\[\]]+==[\w.]+ +# .{4,}", line), line
