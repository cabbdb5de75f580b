"""The part of its run's budget that a step may use."""

from decimal import ROUND_DOWN, Decimal
from typing import Final, NamedTuple

from tasks.execution.claiming.opening import Opened
from tasks.execution.runs.needs import is_judged
from tasks.models.execution.run import USD_DECIMALS
from tasks.states import StepRole

# Of the whole budget, for an arm that judges the result. It is set aside before the first call.
JUDGE_PART: Final = 5
# Of what is left.
PLAN_PART: Final = 4
_SMALLEST_USD: Final = Decimal(1).scaleb(-USD_DECIMALS)


class Share(NamedTuple):
    tokens: int
    usd: Decimal


def left_for(opened: Opened) -> Share:
    """Return what a step may use if it needs no less: all that is left, but for a judge's part."""
    left = Share(opened.left_tokens, opened.left_usd)
    if opened.is_all or opened.role == StepRole.JUDGE:
        return left
    if is_judged(opened.acceptance_criteria):
        kept = _for_judge(opened)
        return Share(left.tokens - kept.tokens, left.usd - kept.usd)
    return left


def share_of(opened: Opened, left: Share) -> Share:
    """Return the part of what is left that is meant for a step.

    The steps of a plan share it. A judge gets the part that was set aside, or half of what is left
    if that is more: the other half is for a repair. A request that is sent again needs what it
    needed before, whatever has been spent on it since, and may take it from the others.
    """
    if opened.is_all or opened.request is not None:
        return left
    if opened.role == StepRole.JUDGE:
        kept, half = _for_judge(opened), _part(left, 2)
        return Share(
            min(left.tokens, max(kept.tokens, half.tokens)), min(left.usd, max(kept.usd, half.usd))
        )
    return _part(left, PLAN_PART if opened.role == StepRole.PLAN else opened.sharers)


def _for_judge(opened: Opened) -> Share:
    return _part(Share(opened.max_tokens, opened.max_cost_usd), JUDGE_PART)


def _part(whole: Share, parts: int) -> Share:
    if parts == 1:
        return whole
    usd = (whole.usd / parts).quantize(_SMALLEST_USD, ROUND_DOWN)
    return Share(whole.tokens // parts, usd)
