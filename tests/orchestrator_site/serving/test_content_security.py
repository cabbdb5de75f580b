"""The Content-Security-Policy of pages."""

import pytest
from django.test import Client

from tests.factories import TaskFactory
from tests.staff import staff

pytestmark = pytest.mark.django_db

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADER = "Content-Security-Policy"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin/", 200),
        ("/admin/tasks/task/", 200),
        ("/admin/nothing-here/", 404),
        ("/submit", 200),
        ("/tasks/{id}", 200),
        ("/", 200),
    ],
)
def test_page_has_the_policy(path: str, status: int, admin_client: Client) -> None:
    response = admin_client.get(path.format(id=TaskFactory().pk), headers={"Accept": "text/html"})
    assert (response.status_code, response[HEADER]) == (status, POLICY)


def test_login_has_the_policy(client: Client) -> None:
    assert client.get("/admin/login/")[HEADER] == POLICY


def test_documentation_may_load_the_images_of_its_style_sheet(client: Client) -> None:
    policy = client.get("/docs")[HEADER]
    assert policy == POLICY.replace("img-src 'self'", "img-src 'self' data:")


@pytest.mark.parametrize("path", ["/tasks/{id}", "/health", "/", "/schema"])
def test_json_response_has_no_policy(path: str, client: Client) -> None:
    assert HEADER not in client.get(path.format(id=TaskFactory().pk))


def test_staff_without_the_permission_get_a_page(client: Client) -> None:
    client.force_login(staff())
    response = client.get("/admin/tasks/task/", headers={"Accept": "text/html"})
    assert (response.status_code, response[HEADER]) == (403, POLICY)
    assert "Your account may not do this." in response.content.decode()


def test_form_from_another_site_gets_a_page() -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post("/admin/login/", headers={"Accept": "text/html"})
    assert (response.status_code, response[HEADER]) == (403, POLICY)
    assert "This form is out of date. Open its page again." in response.content.decode()


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/", "/submit", "/docs"])
def test_page_has_no_inline_script_or_style(path: str, admin_client: Client) -> None:
    content = admin_client.get(path, headers={"Accept": "text/html"}).content.decode()
    for inline in ("<style", " style=", " onclick=", " onload=", "<script>", "javascript:"):
        assert inline not in content
