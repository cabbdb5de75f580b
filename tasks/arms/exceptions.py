"""Why a call to an arm has no answer, by what may be done about it.

ArmError
├── NotSent          nothing was sent, so the call may be repeated
├── Refused          the arm refused before it did anything; repeated if it says so
├── Misconfigured    the arm does not know us or this address: staff have to look
├── Failed           the arm worked and failed, or its answer is unusable; repeated if it says so
└── OutcomeUnknown   the arm may have carried out the work or not
"""

from tasks.arms.work import Usage


class ArmError(Exception):
    """There is no answer.

    Attributes:
        detail: a short constant phrase, never text from an arm or a client.
        is_retryable: whether the arm says that the call may be repeated.
        retry_after_seconds: how long to wait before that, at least.
        usage: what the call took, as far as the arm reported it.
    """

    def __init__(
        self,
        detail: str,
        *,
        is_retryable: bool = False,
        retry_after_seconds: float = 0,
        usage: Usage = Usage(),  # noqa: B008 - immutable
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_retryable = is_retryable
        self.retry_after_seconds = retry_after_seconds
        self.usage = usage


class NotSent(ArmError):
    """The connection could not be made, or the circuit is open."""


class Refused(ArmError):
    """The arm refused the request with a 4xx, a 429 or a 503."""


class Misconfigured(ArmError):
    """The arm answered 401, 403 or 404 without an error of its protocol, or redirects calls."""


class Failed(ArmError):
    """The arm reports a failure, or sent an answer that cannot be a result."""


class OutcomeUnknown(ArmError):
    """The connection broke, the deadline passed, or the answer cannot be read."""


class ParameterRefused(Refused):
    """A model server does not take an optional parameter of the request.

    Attributes:
        parameter: its name.
    """

    def __init__(self, parameter: str) -> None:
        super().__init__("parameter refused", is_retryable=True)
        self.parameter = parameter


class TooLittleBudget(Exception):
    """What is left of the budget does not allow a useful answer, so there is no request."""
