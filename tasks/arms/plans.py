"""Reading the plans of planners, which may be anything.

A plan is `{"steps": [...]}` with the field names of `octollm`, whatever the planner called them.
The values are as it wrote them: the check of the plan tells it what is wrong with them.
"""

from typing import Any, Final

# More than a plan may have, so that the check of the plan can say that there are too many.
MAX_STEPS: Final = 501
# The name of a step's field, and another name that arms use for it.
_FIELDS: Final = {
    "step_number": "step",
    "action": "action",
    "arm_id": "required_arm",
    "acceptance_criteria": "acceptance_criteria",
    "dependencies": "depends_on",
    "estimated_duration_seconds": "estimated_duration_seconds",
}
# What the strict mode of model servers allows: all fields are required, and there are no bounds.
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "steps": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "step_number": {"type": "integer"},
                    "action": {"type": "string"},
                    "arm_id": {"type": "string"},
                    "acceptance_criteria": {"type": "array", "items": {"type": "string"}},
                    "dependencies": {"type": "array", "items": {"type": "integer"}},
                    "estimated_duration_seconds": {"type": "integer"},
                },
                "required": [*_FIELDS],
                "additionalProperties": False,
            },
        },
        "confidence": {"type": "number"},
    },
    "required": ["steps", "confidence"],
    "additionalProperties": False,
}


def plan_in(document: object) -> dict[str, list[Any]]:
    """Return the plan of a document; without a list of steps, it has none.

    Steps that are no objects stay as they are. Steps after the first `MAX_STEPS` are dropped.
    """
    steps = _named(document, "steps", "plan") if isinstance(document, dict) else None
    return {"steps": [_step(step) for step in steps[:MAX_STEPS]] if isinstance(steps, list) else []}


def _step(step: Any) -> Any:
    if not isinstance(step, dict):
        return step
    return {
        name: _named(step, name, other)
        for name, other in _FIELDS.items()
        if name in step or other in step
    }


def _named(fields: dict[str, Any], name: str, other: str) -> Any:
    return fields[name] if name in fields else fields.get(other)
