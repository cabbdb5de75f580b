"""The lists of texts beside the tests: one text per line, with tabs between fields."""

from pathlib import Path

HERE = Path(__file__).parent


def lines_of(name: str) -> list[str]:
    return (HERE / name).read_text(encoding="utf-8").splitlines()


def rows_of(name: str) -> list[tuple[str, ...]]:
    return [tuple(line.split("\t")) for line in lines_of(name)]
