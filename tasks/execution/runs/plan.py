"""A plan is data from outside: it is checked before anything of it runs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from tasks.arms.description import Capability

MAX_STEPS: Final = 20
MAX_ACTION_CHARACTERS: Final = 10_000
MAX_CRITERIA: Final = 100
MAX_CRITERION_CHARACTERS: Final = 2_000
MAX_TEXT_BYTES: Final = 100_000
MAX_FAULTS: Final = 10
# More than any plan has steps.
MAX_NUMBER: Final = 1_000_000
# As much as any task may take. An integer of JSON may be too large for a float.
MAX_SECONDS: Final = 2_147_483_647


@dataclass(frozen=True)
class PlannedStep:
    """A step of a plan.

    Attributes:
        arm: the only arm that may carry it out; None for any that can.
        depends_on: numbers of steps of the plan, or of steps that are done already.
    """

    number: int
    action: str
    arm: str | None
    acceptance_criteria: tuple[str, ...]
    depends_on: tuple[int, ...]
    estimated_seconds: float


@dataclass(frozen=True)
class Plan:
    """A plan, or what is wrong with it.

    Attributes:
        steps: in their order; none if there are faults.
        faults: a sentence about each fault, without any text of the plan.
    """

    steps: tuple[PlannedStep, ...] = ()
    faults: tuple[str, ...] = ()


def checked(
    answer: Any,
    *,
    arms: Mapping[str, Collection[str]],
    done: Collection[int] = (),
    seconds_left: float,
) -> Plan:
    """Return the plan in the answer of an arm.

    Args:
        answer: as `tasks.arms` reads it: an object with `steps`.
        arms: the capabilities of each arm that may be named.
        done: the numbers of steps that are done already; the plan may depend on them.
        seconds_left: how long the plan may take by its own estimates.
    """
    listed = answer.get("steps") if isinstance(answer, dict) else None
    if not isinstance(listed, list) or not listed:
        return Plan(faults=("The plan has no list of steps.",))
    if len(listed) > MAX_STEPS:
        return Plan(faults=(f"A plan has at most {MAX_STEPS} steps.",))
    reader = _Reader(arms, done)
    steps = reader.steps(listed)
    faults = reader.faults or _faults_of_all(steps, seconds_left)
    if faults:
        return Plan(faults=tuple(faults[:MAX_FAULTS]))
    return Plan(tuple(steps))


@dataclass
class _Reader:
    """Reads single steps.

    Attributes:
        faults: filled by `steps`.
    """

    arms: Mapping[str, Collection[str]]
    done: Collection[int]
    faults: list[str] = field(default_factory=list)

    def steps(self, listed: list[Any]) -> list[PlannedStep]:
        numbers = [number for fields in listed if (number := _number(fields))]
        if len(set(numbers)) < len(listed):
            self.faults.append("Each step needs a step_number of its own, a whole number from 1.")
            return []
        known = {*numbers, *self.done}
        return [
            self._step(number, fields, known)
            for number, fields in zip(numbers, listed, strict=True)
        ]

    def _step(self, number: int, fields: dict[str, Any], known: set[int]) -> PlannedStep:
        duration = fields.get("estimated_duration_seconds") or 0
        if not _is_number(duration) or not 0 <= duration <= MAX_SECONDS:
            self._fault(number, "has an estimated_duration_seconds that is not a number of seconds")
            duration = 0
        action = fields.get("action")
        if not isinstance(action, str) or not 0 < len(action.strip()) <= MAX_ACTION_CHARACTERS:
            self._fault(
                number, f"needs an action, a text of at most {MAX_ACTION_CHARACTERS} characters"
            )
            action = ""
        return PlannedStep(
            number=number,
            action=action,
            arm=self._arm(number, fields.get("arm_id")),
            acceptance_criteria=self._criteria(number, fields.get("acceptance_criteria") or []),
            depends_on=self._dependencies(number, fields.get("dependencies") or [], known),
            estimated_seconds=float(duration),
        )

    def _arm(self, number: int, arm_id: Any) -> str | None:
        """Return the arm that a step names; None if it names the capability, or nothing."""
        if arm_id is None or arm_id == "" or arm_id == Capability.EXECUTE:
            return None
        if isinstance(arm_id, str) and Capability.EXECUTE in self.arms.get(arm_id, ()):
            return arm_id
        self._fault(number, "needs an arm_id that is execute or an arm that can execute")
        return None

    def _criteria(self, number: int, criteria: Any) -> tuple[str, ...]:
        is_valid = (
            isinstance(criteria, list)
            and len(criteria) <= MAX_CRITERIA
            and all(
                isinstance(one, str) and 0 < len(one.strip()) <= MAX_CRITERION_CHARACTERS
                for one in criteria
            )
        )
        if not is_valid:
            self._fault(number, "has acceptance_criteria that are not a list of short texts")
        return tuple(criteria) if is_valid else ()

    def _dependencies(self, number: int, named: Any, known: set[int]) -> tuple[int, ...]:
        if not isinstance(named, list) or not all(_is_whole(one) for one in named):
            self._fault(number, "has dependencies that are not a list of step numbers")
            return ()
        if not known.issuperset(named):
            self._fault(number, "depends on a step that does not exist")
        if number in named:
            self._fault(number, "depends on itself")
        return tuple(sorted(set(named)))

    def _fault(self, number: int, what: str) -> None:
        self.faults.append(f"Step {number} {what}.")


def _number(fields: Any) -> int | None:
    number = fields.get("step_number") if isinstance(fields, dict) else None
    return number if _is_whole(number) and 1 <= number <= MAX_NUMBER else None


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _faults_of_all(steps: list[PlannedStep], seconds_left: float) -> list[str]:
    """Return the faults that no step has by itself."""
    if sum(_size(step) for step in steps) > MAX_TEXT_BYTES:
        return [f"The texts of a plan have at most {MAX_TEXT_BYTES} bytes."]
    seconds = _longest(steps)
    if seconds is None:
        return ["The dependencies go round in a circle."]
    if seconds > seconds_left:
        return [f"By its estimates it takes {seconds:.0f} s, and {seconds_left:.0f} s are left."]
    return []


def _size(step: PlannedStep) -> int:
    return sum(len(text.encode()) for text in (step.action, *step.acceptance_criteria))


def _longest(steps: list[PlannedStep]) -> float | None:
    """Return how long the plan takes if steps run side by side; None if it has a circle."""
    open_steps = {step.number: step for step in steps}
    # By the number of the step: when it ends.
    ends: dict[int, float] = {}
    while open_steps:
        ready = [
            step for step in open_steps.values() if open_steps.keys().isdisjoint(step.depends_on)
        ]
        if not ready:
            return None
        for step in ready:
            begins = max((ends.get(number, 0.0) for number in step.depends_on), default=0.0)
            ends[step.number] = begins + step.estimated_seconds
        for step in ready:
            del open_steps[step.number]
    return max(ends.values(), default=0.0)
