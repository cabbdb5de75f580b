"""Why a task may fail: the closed list of codes, with a sentence for each."""

from typing import Final

from django.db import models


class FailureCode(models.TextChoices):
    ARM_FAILED = "arm_failed"
    OUTPUT_REFUSED = "output_refused"
    ANSWER_UNSCREENED = "answer_unscreened"
    OUTCOME_UNKNOWN = "outcome_unknown"
    TIMED_OUT = "timed_out"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    PLAN_INVALID = "plan_invalid"
    CRITERIA_NOT_MET = "criteria_not_met"
    DECISION_EXPIRED = "decision_expired"


SENTENCES: Final = {
    FailureCode.ARM_FAILED: "The arm could not carry out the task.",
    FailureCode.OUTPUT_REFUSED: "The arm's answer was refused by the safety check.",
    FailureCode.ANSWER_UNSCREENED: "The arm's answer could not be screened in time.",
    FailureCode.OUTCOME_UNKNOWN: (
        "The arm may have carried out the task, but its answer was lost."
    ),
    FailureCode.TIMED_OUT: "The time of the task is over.",
    FailureCode.BUDGET_EXHAUSTED: "What is left of the budget is too little.",
    FailureCode.TOO_MANY_ATTEMPTS: "Too many workers stopped while they worked on the task.",
    FailureCode.PLAN_INVALID: "No arm made a plan for the task that can be carried out.",
    FailureCode.CRITERIA_NOT_MET: "The result does not meet the acceptance criteria.",
    FailureCode.DECISION_EXPIRED: "Nobody decided about the result in time.",
}
