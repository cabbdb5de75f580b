"""The state of an arm: whether staff enabled it, and its health, in one label."""

from typing import Final

from orchestrator_site.console.formats import labelled
from tasks.arms.description import Health
from tasks.models import Arm

DISABLED: Final = "disabled"
# Colour, sign and name of each label.
_LABELS: Final = {
    DISABLED: ("cancelled", "⊘", "Disabled"),
    Health.UNKNOWN: ("medium", "?", "Not asked yet"),
    Health.HEALTHY: ("completed", "✓", "Healthy"),
    Health.DEGRADED: ("high", "△", "Degraded"),
    Health.DOWN: ("failed", "✕", "Down"),
    Health.MISCONFIGURED: ("failed", "▲", "Misconfigured"),
}
_UNAVAILABLE: Final = (DISABLED, Health.DOWN, Health.MISCONFIGURED)


def state(arm: Arm) -> str:
    return Health(arm.health) if arm.is_enabled else DISABLED


def is_available(arm: Arm) -> bool:
    """Return whether the arm may get new calls."""
    return state(arm) not in _UNAVAILABLE


def state_label(arm: Arm) -> str:
    return labelled(*_LABELS[state(arm)])
