"""Drives a headless Chromium over its DevTools protocol, by a pair of pipes: nothing is needed but Python."""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 20.0


def find_browser():
    """The browser's path, or None."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class BrowserError(Exception):
    """What the browser refused, or did not do in time."""


class Browser:
    """A browser with one page. Use it in a `with` statement."""

    def __init__(self, path):
        self.folder = tempfile.TemporaryDirectory(prefix="oneloop-browser-")
        self.downloads = pathlib.Path(self.folder.name) / "downloads"
        self.downloads.mkdir()
        # The browser reads from descriptor 3 and writes to 4; those of the pipes must not be among them.
        to_read, self.to_browser = (high(number) for number in os.pipe())
        self.from_browser, to_write = (high(number) for number in os.pipe())
        words = [path, "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check",
                 "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-dev-shm-usage",
                 "--hide-scrollbars", f"--user-data-dir={self.folder.name}/profile"]
        if os.geteuid() == 0:
            words.append("--no-sandbox")
        script = f'exec "$@" 3<&{to_read} 4>&{to_write} {to_read}<&- {to_write}>&-'
        self.process = subprocess.Popen(["bash", "-c", script, "sh", *words, "about:blank"], pass_fds=(to_read, to_write),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.buffer = b""
        self.events = []
        self.next_id = 0
        self.session = None
        target = next(info for info in self.call("Target.getTargets")["targetInfos"] if info["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to_browser)
        os.close(self.from_browser)
        self.folder.cleanup()

    def call(self, method, **parameters):
        """Calls a method and gives its result; events that come meanwhile are kept."""
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": parameters}
        if self.session and not method.startswith(("Target.", "Browser.")):
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.receive(deadline - time.monotonic())
            if answer is None:
                raise BrowserError(f"no answer to {method}")
            if answer.get("id") != self.next_id:
                self.events.append(answer)
            elif "error" in answer:
                raise BrowserError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def receive(self, wait_s):
        """The next message; None if none comes in time."""
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.from_browser], [], [], max(0.0, wait_s))
            piece = os.read(self.from_browser, 1 << 20) if ready else b""
            if not piece:
                return None
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def open(self, url):
        """Goes to a page."""
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise BrowserError(f"{url}: {result['errorText']}")

    def evaluate(self, expression):
        """The value of an expression in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait_for(self, expression, patience_s=PATIENCE_S):
        """Waits until an expression is true; gives its value and how long that took."""
        started = time.monotonic()
        while True:
            value = self.evaluate(expression)
            elapsed_s = time.monotonic() - started
            if value:
                return value, elapsed_s
            if elapsed_s > patience_s:
                raise BrowserError(f"not true within {patience_s} s: {expression}")
            time.sleep(0.01)

    def text(self, selector):
        """The text of an element as it is shown."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector):
        """Clicks in the middle of an element, as a user does."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.evaluate(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])"
                            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        self.click_at(*box)

    def click_at(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        """Presses a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def look(self, theme, width, height, scale=1, is_phone=False):
        """Shows the page in a theme, on a screen of that size."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_phone)

    def picture(self, path, height=None):
        """Saves a picture of the page, from its top, as PNG."""
        width, whole = self.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        self.save_picture(path, 0, 0, width, min(whole, height or whole))

    def picture_of(self, path, selector, height):
        """Saves a picture of an element, from its top, as PNG."""
        x, y, width, whole = self.evaluate(f"(({{x, y, width, height}}) => [x + scrollX, y + scrollY, width, height])"
                                           f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        self.save_picture(path, x, y, width, min(whole, height))

    def save_picture(self, path, x, y, width, height):
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def complaints(self):
        """Errors and warnings that the browser has told of since it was asked last."""
        found = []
        for event in self.events:
            details = event.get("params", {})
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(str(details["exceptionDetails"]))
            elif event.get("method") == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
                found.append(f"{details['entry']['text']} {details['entry'].get('url', '')}")
            elif event.get("method") == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
                found.append(str([value.get("value", value.get("description")) for value in details["args"]]))
        self.events = []
        return found

    def hosts(self):
        """The hosts that the page has asked for anything since the last `complaints`."""
        urls = [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]
        return {url.split("/")[2] for url in urls if "://" in url}


def high(descriptor):
    """The same descriptor under a number beyond those that the browser uses."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
