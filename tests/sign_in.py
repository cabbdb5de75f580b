"""The console's form to sign in, as a browser sends it."""

import requests

from tests.service import Service

# Any will do, as long as cookie and form agree.
TOKEN = "t" * 32


def sign_in(service: Service, username: str, password: str) -> requests.Response:
    return service.request(
        "POST",
        "/admin/login/",
        cookies={"csrftoken": TOKEN},
        data={"csrfmiddlewaretoken": TOKEN, "username": username, "password": password},
    )
