"""What gunicorn serves."""

import gc
from collections.abc import Iterator

import pytest
from django.test import RequestFactory

from orchestrator_site.wsgi import Request, application
from tests.factories import TaskFactory


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.django_db
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize(
    ("path", "status"), [("/tasks/{id}", 200), ("/tasks/none", 404), ("/submit", 405)]
)
def test_an_answered_request_leaves_nothing_to_the_collector(path: str, status: int) -> None:
    factory, path = RequestFactory(), path.format(id=TaskFactory().pk)

    def get() -> int:
        return application.get_response(Request(factory.get(path).environ)).status_code

    assert get() == status
    gc.collect()
    get()
    assert gc.collect() == 0
