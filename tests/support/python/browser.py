"""Debian's Chromium without a window, through its own driver and python3-selenium.

    with Browser(directory) as browser:              # its profile and downloads are below `directory`
        browser.look("phone", "dark")                # a width of SIZES, a scheme
        browser.open("http://127.0.0.1:PORT/")
        browser.picture("page.png")                  # the whole page, not just what fits
        browser.run("return document.title")         # a script of ours; the page's own policy stands
        browser.requests()                           # every URL that was asked for since the last call

It can reach 127.0.0.1 and nothing else. It ends with the test, however that ends.
"""
import base64
import json
import os
import shutil

from logd import Process
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chromium.remote_connection import ChromiumRemoteConnection

SIZES = {"phone": (360, 740), "desktop": (1280, 900), "narrow": (320, 640)}

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",  # the tests run as root in continuous integration; it shows our own page only
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--remote-debugging-pipe",  # it ends when the driver does
]


class Browser:
    def __init__(self, directory):
        self.downloads = os.path.join(directory, "downloads")
        os.makedirs(self.downloads)
        driver = shutil.which("chromedriver")
        assert driver, "no chromedriver: deploy/install-packages test"
        self._process = Process(["sh", "-c", f"exec {driver} --port=0 >&2"])
        try:
            port = self._process.wait_for(r"started successfully on port (\d+)").group(1)
            self._driver = self._session(port, os.path.join(directory, "profile"))
        except BaseException:
            self._process.kill()
            raise
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=self.downloads)

    @staticmethod
    def _session(port, profile):
        options = Options()
        for argument in [*ARGUMENTS, "--user-data-dir=" + profile]:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        connection = ChromiumRemoteConnection(
            f"http://127.0.0.1:{port}", vendor_prefix="goog", browser_name="chrome",
            keep_alive=True, ignore_proxy=True,
        )
        return webdriver.Remote(command_executor=connection, options=options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._driver.quit()
        finally:
            self._process.kill()

    def cdp(self, command, **params):
        """A command of the Chrome DevTools protocol."""
        asked = {"cmd": command, "params": params}
        return self._driver.execute("executeCdpCommand", asked)["value"]

    def look(self, size, scheme):
        width, height = SIZES[size]
        is_phone = width < 600
        self.cdp(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, mobile=is_phone,
            deviceScaleFactor=2 if is_phone else 1,
        )
        self.cdp(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def open(self, url):
        self._driver.get(url)

    def run(self, script, *arguments):
        return self._driver.execute_script(script, *arguments)

    def run_async(self, script, *arguments):
        """The script calls its last argument with what it found."""
        self._driver.set_script_timeout(30)
        return self._driver.execute_async_script(script, *arguments)

    def elements(self, selector):
        return self._driver.find_elements("css selector", selector)

    def picture(self, path):
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.cdp(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
        )
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def requests(self):
        urls = []
        for line in self._driver.get_log("performance"):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
        return urls

    def complaints(self):
        """What the browser's console has about the page since the last call."""
        return [line["message"] for line in self._driver.get_log("browser")]
