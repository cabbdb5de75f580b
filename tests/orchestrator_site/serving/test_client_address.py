from typing import Any

import pytest
from django.test import RequestFactory

from orchestrator_site.serving.client_address import client_address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        pytest.param(0, "", "192.0.2.1", id="no proxy"),
        pytest.param(0, "203.0.113.9", "192.0.2.1", id="no proxy: the header is the client's"),
        pytest.param(1, "203.0.113.9", "203.0.113.9", id="one proxy"),
        pytest.param(1, "6.6.6.6, 203.0.113.9", "203.0.113.9", id="one proxy, and a lie before"),
        pytest.param(2, "203.0.113.9, 10.0.0.1", "203.0.113.9", id="two proxies"),
        pytest.param(2, "203.0.113.9", "192.0.2.1", id="past one of the proxies"),
        pytest.param(1, "", "192.0.2.1", id="past the proxy"),
    ],
)
def test_the_client_address_is_the_one_that_the_outermost_proxy_saw(
    settings: Any, proxies: int, forwarded: str, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1", **headers)
    assert client_address(request) == expected
