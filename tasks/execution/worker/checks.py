"""Asking arms for their health."""

import logging
from collections.abc import Callable
from typing import Final

from safety.outbound.transport import Deadline
from tasks.arms import description
from tasks.arms.adapter import Adapter
from tasks.arms.description import Health
from tasks.models import Arm

DEADLINE_SECONDS: Final = 5.0

logger = logging.getLogger(__name__)


class Checks:
    """The checks of one worker.

    Args:
        adapter_of: returns the adapter for an arm.
    """

    def __init__(self, *, adapter_of: Callable[[description.Arm], Adapter]) -> None:
        self._adapter_of = adapter_of

    def check(self, name: str) -> bool:
        """Ask an arm and store what it says; return whether it has become available."""
        arm = Arm.objects.filter(name=name, is_enabled=True).first()
        if arm is None:
            return False
        health = self._adapter_of(arm.description).check(deadline=Deadline(DEADLINE_SECONDS))
        if health != arm.health and arm.health != Health.MISCONFIGURED:
            logger.info("Health of an arm changed", extra={"arm": name, "health": health.value})
        return Arm.objects.record_health(name, health)
