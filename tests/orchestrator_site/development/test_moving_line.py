"""The line that says what a start is busy with."""

import io
import os

from orchestrator_site.development.moving_line import MovingLine


def test_line_on_a_terminal_takes_the_place_of_the_last() -> None:
    reader, writer = os.openpty()
    with os.fdopen(writer, "w") as terminal, MovingLine(terminal) as line:
        line.say("Installing", "1 of 2")
        line.say("Installing", "2 of 2")
        line.say("Starting")
    shown = os.read(reader, 1_000).decode()
    os.close(reader)
    assert shown == ("Installing: 1 of 2\033[K\rInstalling: 2 of 2\033[K\rStarting\033[K\r\033[K")


def test_each_thing_is_a_line_elsewhere() -> None:
    file = io.StringIO()
    with MovingLine(file) as line:
        line.say("Installing", "1 of 2")
        line.say("Installing", "2 of 2")
        line.say("Starting")
    assert file.getvalue() == "Installing\nStarting\n"
