"""Submits the console's sign-in form, as a browser does."""

import requests

from tests.service import Service

# Any token works if the cookie and the form have the same.
TOKEN = "t" * 32


def sign_in(service: Service, username: str, password: str) -> requests.Response:
    return service.request(
        "POST",
        "/admin/login/",
        cookies={"csrftoken": TOKEN},
        data={"csrfmiddlewaretoken": TOKEN, "username": username, "password": password},
    )
