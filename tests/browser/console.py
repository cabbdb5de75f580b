"""The console in a browser, as staff use it."""

import json
from typing import Any
from urllib.parse import urlsplit

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.chromium import HEIGHT, WIDTH

WAIT_SECONDS = 20
PASSWORD = "a-password-for-the-tests"


class Console:
    """One browser and one service.

    Attributes:
        url: the service's URL.
    """

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url

    def open(self, path: str) -> None:
        self.driver.get(self.url + path)

    def sign_in(self, name: str, password: str = PASSWORD) -> None:
        """End the session, and sign in as this member of staff."""
        self.open("/admin/login/")
        self.driver.delete_all_cookies()
        self.open("/admin/login/")
        self.find("#id_username").send_keys(name)
        self.find("#id_password").send_keys(password, Keys.ENTER)
        self.wait_for("#user-tools")

    def in_colours(self, scheme: str) -> None:
        """Show pages in `light` or `dark`, as if the user's system asked for it."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def of_width(self, width: int = WIDTH, height: int = HEIGHT) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def link(self, text: str) -> WebElement:
        return self.driver.find_element(By.LINK_TEXT, text)

    def labelled(self, text: str) -> WebElement:
        """Return the field whose accessible name is `text`."""
        for field in self.all("input:not([type=hidden]), select, textarea, progress"):
            if field.accessible_name == text:
                return field
        raise AssertionError(f"no field has the name {text}")

    def press(self, text: str) -> None:
        """Press the button with this text."""
        for button in self.all("button, input[type=submit]"):
            if button.accessible_name == text:
                button.click()
                return
        raise AssertionError(f"no button has the name {text}")

    def wait_for(self, selector: str, text: str = "") -> WebElement:
        """Wait for an element that contains `text`."""

        def shown(_: Chrome) -> WebElement | None:
            return next((found for found in self.all(selector) if text in found.text), None)

        wait = WebDriverWait(self.driver, WAIT_SECONDS, ignored_exceptions=[Exception])
        return wait.until(shown, f"no element {selector} contains {text!r}")

    @property
    def text(self) -> str:
        return self.find("body").text

    @property
    def status(self) -> int:
        """The HTTP status of the page."""
        return int(
            self.driver.execute_script(
                "return performance.getEntriesByType('navigation')[0].responseStatus"
            )
        )

    def complaints(self) -> list[str]:
        """Return the browser's warnings and errors since the last call, and foreign requests.

        A page with a 4xx status is left out: a test may have requested it on purpose.
        """
        said = [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("WARNING", "SEVERE")
        ]
        pages = [
            message for message in said if "status of 4" in message and "/static/" not in message
        ]
        elsewhere = [
            f"request to {url}"
            for url in self._requested()
            if urlsplit(url).netloc != urlsplit(self.url).netloc
        ]
        return [message for message in said if message not in pages] + elsewhere

    def _requested(self) -> list[str]:
        """Return the requested URLs, without the `data:` URLs of the browser's own form fields."""
        events: list[dict[str, Any]] = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        urls = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]
