"""How the person at the terminal sees how far it has come."""

from collections.abc import Callable, Iterator

from orchestrator_site.development.demo.progress import Progress


def clock(*seconds: float) -> Callable[[], float]:
    times: Iterator[float] = iter(seconds)
    return lambda: next(times)


def test_on_a_terminal_a_bar_grows_in_its_place() -> None:
    progress = Progress(3_000, "tasks", is_terminal=True, clock=clock(10, 12, 13))
    assert progress.after(1_000) == (
        f"\r{'█' * 10}{'░' * 20} 1,000 of 3,000 tasks, 500/s, 0:04 left\033[K"
    )
    assert progress.after(3_000) == f"\r{'█' * 30} 3,000 of 3,000 tasks, 1,000/s, 0:00 left\033[K\n"


def test_elsewhere_a_line_comes_every_few_seconds_and_at_the_end() -> None:
    progress = Progress(900_000, "tasks", is_terminal=False, clock=clock(0, 1, 6, 7, 8))
    assert progress.after(1_000) == ""
    assert progress.after(6_000) == "6,000 of 900,000 tasks, 1,000/s, 14:54 left\n"
    assert progress.after(7_000) == ""
    assert progress.after(900_000) == "900,000 of 900,000 tasks, 112,500/s, 0:00 left\n"
