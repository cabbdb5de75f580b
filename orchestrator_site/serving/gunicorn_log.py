"""gunicorn's log without its line for each request, which is ours to write."""

from typing import Any

from gunicorn.glogging import Logger as GunicornLogger


class Logger(GunicornLogger):  # type: ignore[misc]
    """Leaves out the access log, which has no handler here.

    gunicorn takes it for wanted wherever logging is configured by a dict, and would gather
    some thirty facts about each request for nobody: 6 % of the time of a read.
    """

    def access(self, *args: Any) -> None:
        """Write nothing: `orchestrator_site.observability.observation` has logged the request."""
