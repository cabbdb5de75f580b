"""Clients, tasks and results in the states that tests need."""

import factory

from tasks.models import Client, Task, TaskResult
from tasks.states import Priority, Status


class ClientFactory(factory.django.DjangoModelFactory[Client]):
    class Meta:
        model = Client

    class Params:
        with_tokens = factory.Trait(
            name=factory.LazyAttribute(lambda client: f"token:{client.subject}"),
            issuer="https://id.example",
            subject=factory.Sequence(lambda number: f"subject-{number}"),
        )

    name = factory.Sequence(lambda number: f"client-{number}")


class TaskFactory(factory.django.DjangoModelFactory[Task]):
    class Meta:
        model = Task

    class Params:
        processing = factory.Trait(status=Status.PROCESSING)
        completed = factory.Trait(status=Status.COMPLETED)
        failed = factory.Trait(status=Status.FAILED)
        cancelled = factory.Trait(status=Status.CANCELLED)

    goal = factory.Sequence(lambda number: f"Goal {number}")
    priority = Priority.MEDIUM


class TaskResultFactory(factory.django.DjangoModelFactory[TaskResult]):
    class Meta:
        model = TaskResult

    task = factory.SubFactory(TaskFactory, completed=True)
    result_data = factory.LazyFunction(lambda: {"sentiment": 0.8})
    confidence = 0.95
