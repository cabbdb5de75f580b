"""The tables of tasks and clients, one module for each or two."""

from tasks.models.action import Action
from tasks.models.api_key import ApiKey
from tasks.models.client import Client, ClientEvent
from tasks.models.event import Event
from tasks.models.execution.arm import Arm, Pause
from tasks.models.execution.attempt import Attempt, Call
from tasks.models.execution.count import Count
from tasks.models.execution.run import Budget, Run
from tasks.models.execution.step import Step
from tasks.models.execution.worker import Worker
from tasks.models.idempotency_key import IdempotencyKey
from tasks.models.rate_limit import RateLimit
from tasks.models.result import TaskResult
from tasks.models.sign_in import SignIn
from tasks.models.task import Task

__all__ = [
    "Action",
    "ApiKey",
    "Arm",
    "Attempt",
    "Budget",
    "Call",
    "Client",
    "ClientEvent",
    "Count",
    "Event",
    "IdempotencyKey",
    "Pause",
    "RateLimit",
    "Run",
    "SignIn",
    "Step",
    "Task",
    "TaskResult",
    "Worker",
]
