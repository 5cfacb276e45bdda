"""Debian's Chromium without a window, and what it saw: errors on its console, where its requests went."""

import base64
import json
import os
import tempfile
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from . import run

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]


class Browser:
    """One browser with an empty profile."""

    def __init__(self, scratch):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for flag in FLAGS + ["--ignore-certificate-errors", f"--user-data-dir={tempfile.mkdtemp(dir=scratch)}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_script_timeout(30)

    def quit(self):
        self.driver.quit()

    # -- the window --------------------------------------------------------------------------------------------
    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def size(self, width, height=900):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 500)

    def media(self, kind="", **features):
        self.cdp("Emulation.setEmulatedMedia", media=kind,
                 features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def open(self, url):
        self.drain()
        self.driver.get(url)

    def drain(self):
        """Forget what was logged so far."""
        self.driver.get_log("browser")
        self.driver.get_log("performance")

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def press(self, key, code=0, **more):
        for kind in ("keyDown", "keyUp"):
            self.cdp("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def tab(self):
        self.press("Tab", 9)

    # -- what it shows -------------------------------------------------------------------------------------------
    def text(self, selector="body"):
        return self.js("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", selector)

    def wait_text(self, selector, wanted, timeout=25):
        """Wait until the element's text contains `wanted`; returns the text."""
        last = [""]

        def look():
            last[0] = self.text(selector)
            return last[0] if wanted in last[0] else None

        try:
            return run.wait_until(look, f"{wanted!r} in {selector}", timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}; it says: {last[0]!r}") from None

    # -- what it noticed -----------------------------------------------------------------------------------------
    def complaints(self):
        """Errors and warnings on the console since the last look."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def origins(self):
        """Where requests went since the last look."""
        found = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                found.add("data:" if url.scheme == "data" else f"{url.scheme}://{url.netloc}")
        return found

    def picture(self, name):
        """With PGSEAL_PICTURES=DIR the whole page goes to DIR/NAME.png, for people to look at."""
        directory = os.environ.get("PGSEAL_PICTURES")
        if not directory:
            return
        width, height = self.js("return [innerWidth, document.documentElement.scrollHeight]")
        shot = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
        with open(os.path.join(directory, f"{name}.png"), "wb") as f:
            f.write(base64.b64decode(shot["data"]))
