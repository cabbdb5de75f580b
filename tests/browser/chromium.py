"""Starts a headless Chromium that logs its console messages and requests."""

import shutil

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Chromedriver

CHROMIUM, CHROMEDRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = (
    "chromium and chromedriver were not found; on Debian: apt-get install chromium chromium-driver"
)
WIDTH, HEIGHT = 1280, 900


def start() -> Chrome:
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (
        "--headless=new",
        # Chromium's sandbox does not work as root or in a container.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--force-device-scale-factor=1",
        f"--window-size={WIDTH},{HEIGHT}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return Chrome(options, Chromedriver(CHROMEDRIVER))
