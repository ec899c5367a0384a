"""A page in a real browser: headless Chromium, spoken to in its DevTools protocol through a pipe."""

import base64
import json
import os
import shutil
import subprocess
from itertools import count

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """A Chromium with one page; ``errors`` are what that page's console and its scripts complained about."""

    def __init__(self, folder):
        (commands, to_browser), (from_browser, answers) = os.pipe(), os.pipe()
        # the browser reads from 3 and writes to 4
        plumbing = f'exec 3<&{commands} 4>&{answers} && exec "$@"'
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
        ]
        command = ["bash", "-c", plumbing, "bash", PROGRAM, *flags, f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(
            command, pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(commands)
        os.close(answers)
        self._out, self._in = open(to_browser, "wb", buffering=0), open(from_browser, "rb", buffering=0)  # noqa: SIM115
        self._number, self._received, self.session, self.errors, self.events = count(1), b"", None, [], []
        (page,) = [one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.session = None
        self.call("Browser.close")
        self.process.wait(timeout=30)
        self._out.close()
        self._in.close()

    def call(self, method, **params):
        """What the browser answers; raises ``RuntimeError`` if that is an error."""
        number = next(self._number)
        message = {"id": number, "method": method, "params": params}
        self._send(message if self.session is None else {**message, "sessionId": self.session})
        while (answer := self._receive()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def open(self, path, *, width=1280, height=800, dark=False):
        """Shows a file in a window of that size, and waits until it is loaded."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.errors, self.events = [], []
        self.call("Page.navigate", url=path.absolute().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._note(self._receive())

    def run(self, script):
        """The value of an expression, awaited if it is a promise."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def press(self, key, text=""):
        """A key, by the name that scripts know it by."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text if kind == "keyDown" else "")

    def mouse(self, kind, x, y, **more):
        """A mouse event, as "mouseMoved", in pixels of the window."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y):
        for kind in ("mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="left", clickCount=1)

    def screenshot(self):
        """The window as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def requests(self):
        """Addresses that the page asked for, but for its own and what is inside of it."""
        sent = (e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent")
        return [url for url in sent if not url.startswith(("data:", "blob:"))][1:]

    def _note(self, event):
        self.events.append(event)
        params = event.get("params", {})
        if event["method"] == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["exception"]["description"])
        elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(str(params["args"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])

    def _send(self, message):
        self._out.write(json.dumps(message).encode() + b"\0")

    def _receive(self):
        while b"\0" not in self._received:
            more = self._in.read(2**16)
            if not more:
                raise RuntimeError("Chromium has ended")
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)
