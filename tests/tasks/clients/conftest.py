from collections.abc import Iterator

import pytest

from tasks.clients.current import current_client


@pytest.fixture(autouse=True)
def _no_client_stays_behind() -> Iterator[None]:
    token = current_client.set("")
    yield
    current_client.reset(token)
