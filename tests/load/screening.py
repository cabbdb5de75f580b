"""The CPU time that the bundled Reflex Layer needs to screen a text."""

import statistics
import time
from collections.abc import Iterable

from safety.reflex_layer.screening import screen
from tests.load.options import Options
from tests.load.parts import Parts
from tests.load.progress import tell
from tests.load.tables import machine, table
from tests.safety.reflex_layer.texts import FOUND, PROSE, costly, filled, shuffled

TIMES_EACH = 5
TAKEN_AGAIN = 10

Text = tuple[str, str]


def measure(_parts: Parts, options: Options) -> str:
    """Screen texts of each kind and size; return the section of the document."""
    rows = []
    times = TIMES_EACH * options.rounds
    hostile_texts = sum(1 for _ in costly(1_000))
    for size in options.sizes:
        tell(f"Screening of {size:,} bytes")
        prose = median_ms(filled(PROSE, size), times)
        found = median_ms(shuffled([f"{text} " for text in FOUND], size), times)
        name, hostile = costliest(costly(size), times)
        rows.append((f"{size:,}", f"{prose:.2f}", f"{found:.1f}", f"{hostile:.1f}", f"`{name}`"))
    header = ("bytes", "prose ms", "every pattern ms", "slowest ms", "slowest text")
    return (
        f"{machine()} CPU time of one screening, medians of {times}. The slowest text is one of "
        f"the {hostile_texts} texts in `tests/safety/reflex_layer/texts.py`.\n\n"
        + table(header, rows)
    )


def costliest(texts: Iterable[Text], times: int) -> tuple[str, float]:
    """Return the slowest text and its time; after one pass, only the slowest are measured again."""
    once = sorted(((median_ms(text, 1), name, text) for name, text in texts), reverse=True)
    most, name = max((median_ms(text, times), name) for _, name, text in once[:TAKEN_AGAIN])
    return name.strip("'\""), most


def median_ms(text: str, times: int) -> float:
    """Return the CPU time of one screening, in milliseconds."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        screen(text)
        taken.append(time.process_time() - started)
    return statistics.median(taken) * 1000
