"""The pages of the API in a browser: the form, the answers, and the colours."""

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.console import Console

TYPED = '{"goal": "Write to jane.doe@example.org"}'


def post(console: Console, body: str) -> str:
    """Type `body` into the form, send it, and return the response."""
    console.open("/submit")
    area = console.labelled("Body (application/json)")
    area.clear()
    area.send_keys(body)
    console.press("POST")
    return answer(console)


def answer(console: Console) -> str:
    """Wait for the answer to replace the initial text of the page."""
    for _ in range(100):
        text = console.find("#answer").text
        if "Fill in the form" not in text:
            return text
        console.driver.execute_async_script("setTimeout(arguments[0], 50)")
    raise AssertionError("no answer came")


@pytest.mark.parametrize(
    ("typed", "status", "detail"),
    [
        (TYPED, "403 Forbidden", "Safety check failed: PII detected in input"),
        ('{"goal": ""}', "400 Bad Request", "goal"),
        ("no json", "400 Bad Request", "The body is not JSON"),
    ],
)
def test_typed_text_stays_after_a_refusal(
    typed: str, status: str, detail: str, console: Console
) -> None:
    said = post(console, typed)
    assert said.startswith(f"HTTP {status}")
    assert detail in said
    assert console.labelled("Body (application/json)").get_property("value") == typed
    # Only the page keeps the text: not the storage of the browser, and not the URL.
    assert console.driver.execute_script(
        "return [localStorage.length, sessionStorage.length, location.pathname]"
    ) == [0, 0, "/submit"]


def test_id_of_an_accepted_task_links_to_the_task(console: Console) -> None:
    post(console, '{"goal": "Count the boxes"}')
    task_id = console.find("#answer a[href*='/tasks/']:last-of-type").text
    console.link(task_id).click()
    console.wait_for("h1", "Task")
    assert "Count the boxes" in console.text
    assert console.driver.current_url.endswith(task_id)


def test_text_field_is_as_high_as_its_text(console: Console) -> None:
    console.of_width(390, 900)
    console.open("/submit")
    area = console.labelled("Body (application/json)")

    def hidden() -> int:
        return int(area.get_property("scrollHeight")) - int(area.get_property("clientHeight"))

    assert hidden() == 0
    before = area.size["height"]
    area.send_keys(Keys.ENTER * 30 + "a long line " * 40)
    assert hidden() == 0
    assert area.size["height"] > before + 30 * 15


def test_unreachable_service_is_reported(console: Console) -> None:
    console.open("/submit")
    console.driver.set_network_conditions(
        offline=True, latency=0, download_throughput=1, upload_throughput=1
    )
    try:
        console.press("POST")
        assert answer(console) == "The service cannot be reached."
    finally:
        console.driver.delete_network_conditions()
    assert all("INTERNET_DISCONNECTED" in said for said in console.complaints())


@pytest.mark.parametrize("path", ["/submit", "/docs", "/nowhere", "/", "/admin/nothing-here/"])
def test_page_follows_the_colour_scheme_of_the_system(path: str, console: Console) -> None:
    def brightness(selector: str, style: str) -> int:
        """Return the brightness of a colour of the page, from 0 to 765."""
        canvas = (
            "const c = document.createElement('canvas').getContext('2d');"
            "c.fillStyle = 'canvas'; c.fillStyle = getComputedStyle("
            "document.querySelector(arguments[0]))[arguments[1]];"
            "c.fillRect(0, 0, 1, 1); const [r, g, b] = c.getImageData(0, 0, 1, 1).data;"
            "return r + g + b"
        )
        return int(console.driver.execute_script(canvas, selector, style))

    console.sign_in("admin")
    found = []
    for colours in ("light", "dark"):
        console.in_colours(colours)
        console.open(path)
        if path == "/docs":
            console.wait_for(".swagger-ui .opblock")
        found.append((brightness("body", "backgroundColor"), brightness("h1, h2", "color")))
    (light, dark_ink), (dark, light_ink) = found
    assert light > 700 > 600 > dark_ink
    assert dark < 150 < 450 < light_ink


def test_schema_is_displayed(console: Console) -> None:
    console.open("/schema")
    assert console.text.startswith("openapi: 3")
