"""The tables of tasks, one module for each."""

from tasks.models.action import Action
from tasks.models.event import Event
from tasks.models.result import TaskResult
from tasks.models.task import Task

__all__ = ["Action", "Event", "Task", "TaskResult"]
