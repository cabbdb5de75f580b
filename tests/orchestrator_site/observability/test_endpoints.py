"""The names of endpoints in metrics and logs."""

import sys
from types import ModuleType

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import path
from django.views.generic import RedirectView

from orchestrator_site.observability.endpoints import endpoint_at, endpoint_of


@pytest.fixture
def routes(settings: object) -> ModuleType:
    """A URLconf with routes that the service does not have."""
    module = ModuleType("routes_of_a_test")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("", HttpResponse),
        path("things/<uuid:thing_id>/parts/<slug>", HttpResponse),
        path("old", RedirectView.as_view(url="/")),
        path("admin/things/<path:object_id>/change/", HttpResponse),
    ]
    sys.modules[module.__name__] = module
    settings.ROOT_URLCONF = module.__name__  # type: ignore[attr-defined]
    return module


@pytest.mark.usefixtures("routes")
@pytest.mark.parametrize(
    ("asked", "endpoint"),
    [
        ("/", "/"),
        ("/things/7e6a0b1c-6a3c-4a57-8f0e-4dd6ab1c2d3e/parts/a", "/things/{thing_id}/parts/{slug}"),
        # No route matches, so not even a part of the path is used.
        ("/things/1/parts/a", "other"),
        ("/old", "other"),
        ("/admin/things/1/change/", "/admin/"),
        ("/nowhere", "other"),
    ],
)
def test_a_new_route_is_counted_under_its_own_name(asked: str, endpoint: str) -> None:
    assert endpoint_at(asked) == endpoint
    # A request that was refused before Django resolved its path.
    assert endpoint_of(RequestFactory().get(asked)) == endpoint


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/tasks/1", "/tasks/{task_id}"),
        ("/tasks/", "other"),
        ("/tasks/1/2", "other"),
        ("/admin/tasks/task/", "/admin/"),
        ("/admin", "other"),
        ("/submit/", "other"),
        ("", "other"),
    ],
)
def test_a_path_belongs_to_its_endpoint(path: str, endpoint: str) -> None:
    assert endpoint_at(path) == endpoint
