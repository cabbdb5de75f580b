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


def share_of(opened: Opened) -> Share:
    """Return what a step may use at most.

    The steps of a plan share what is left. A judge gets the part that was set aside, or half of
    what is left if that is more: the other half is for a repair. A request that is sent again needs
    what it needed before, whatever has been spent on it since, and may take it from the others.
    """
    is_again = opened.request is not None
    left = Share(opened.left_tokens, opened.left_usd)
    if not opened.acceptance_criteria and not opened.action and opened.role == StepRole.EXECUTE:
        return left
    if opened.role == StepRole.JUDGE:
        if is_again:
            return left
        kept, half = _for_judge(opened), _part(left, 2)
        return Share(
            min(left.tokens, max(kept.tokens, half.tokens)), min(left.usd, max(kept.usd, half.usd))
        )
    if is_judged(opened.acceptance_criteria):
        kept = _for_judge(opened)
        left = Share(left.tokens - kept.tokens, left.usd - kept.usd)
    if is_again:
        return left
    return _part(left, PLAN_PART if opened.role == StepRole.PLAN else opened.sharers)


def _for_judge(opened: Opened) -> Share:
    return _part(Share(opened.max_tokens, opened.max_cost_usd), JUDGE_PART)


def _part(whole: Share, parts: int) -> Share:
    if parts == 1:
        return whole
    usd = (whole.usd / parts).quantize(_SMALLEST_USD, ROUND_DOWN)
    return Share(whole.tokens // parts, usd)
