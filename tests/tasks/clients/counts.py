"""How often a request has had an outcome, in this process."""

from tasks.clients.authentication import AUTHENTICATIONS


def counted(result: str) -> float:
    return AUTHENTICATIONS.labels(result)._value.get()
