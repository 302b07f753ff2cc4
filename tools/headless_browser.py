"""A headless Chromium that opens pages, waits for what they show, and takes pictures of them.

It speaks the Chrome DevTools Protocol over a pipe, so that it needs neither a port nor a driver.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",  # draws what wants a GPU, such as the points of the projector
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

# Everything that is visible, in shadow trees and frames of this origin too.
_SHOWN_TEXT = """
(function shown(node) {
  if (node.nodeType === Node.TEXT_NODE) {
    const parent = node.parentElement;
    return parent && parent.getClientRects().length ? node.data : "";
  }
  if (node.tagName === "STYLE" || node.tagName === "SCRIPT") return "";
  let text = node.tagName === "INPUT" ? node.value : "";
  if (node.shadowRoot) text += shown(node.shadowRoot);
  if (node.tagName === "IFRAME" && node.contentDocument) text += shown(node.contentDocument);
  for (const child of node.childNodes) text += " " + shown(child);
  return text;
})(document).replace(/\\s+/g, " ")
"""

_WAIT = """
new Promise((resolve) => {
  const until = Date.now() + %(milliseconds)d, wanted = %(wanted)s;
  (function check() {
    const text = %(text)s;
    if (Date.now() > until || wanted.every((word) => text.includes(word))) resolve(text);
    else setTimeout(check, 200);
  })();
})
"""


def find_chromium() -> str | None:
    """Return the path of Chromium or Chrome, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


class Browser:
    """A Chromium of its own, with an empty profile, which ends with the `with` block.

    Args:
        chromium: The path of the program.
        width: The width of the window, in pixels.
        height: The height of the window, in pixels.
    """

    def __init__(self, chromium: str, width: int = 1600, height: int = 1000) -> None:
        self._command = [chromium, *FLAGS, f"--window-size={width},{height}", "--remote-debugging-pipe"]
        self._received = b""
        self._number = 0
        self._loaded: set[str] = set()
        self._session: str | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Browser:
        with contextlib.ExitStack() as stack:
            profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            to_read, self._to = os.pipe()
            self._from, to_write = os.pipe()
            stack.callback(os.close, self._from)
            # Chromium reads commands from descriptor 3 and answers on 4.
            redirected = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *self._command]
            redirected += [f"--user-data-dir={profile}", "about:blank"]
            process = subprocess.Popen(
                redirected, pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            os.close(to_read)
            os.close(to_write)
            stack.callback(_end, process)
            stack.callback(os.close, self._to)  # Chromium ends when nobody can command it any more
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._call("Page.enable")
            self._call("Page.setLifecycleEventsEnabled", enabled=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, address: str, *wanted: str, seconds: float = 60.0) -> str:
        """Open a page and wait until it shows every one of some texts, or time is over; return what it shows."""
        for target in ("about:blank", address):  # else an address that differs in its fragment only is no new page
            self._loaded.clear()
            loader = self._call("Page.navigate", url=target)["loaderId"]
            while loader not in self._loaded:
                self._receive()
        script = _WAIT % {"milliseconds": 1000 * seconds, "wanted": json.dumps(wanted), "text": _SHOWN_TEXT.strip()}
        result = self._call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        return str(result["result"]["value"])

    def picture(self) -> bytes:
        """Return the page as it is shown once it has come to rest, or after some seconds, as a PNG file."""
        before = b""
        for _ in range(20):
            now = base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])
            if now == before:
                break
            before = now
            pause = "new Promise((resolve) => setTimeout(resolve, 400))"
            self._call("Runtime.evaluate", expression=pause, awaitPromise=True)
        return before

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        number = self._number
        while (answer := self._receive()).get("id") != number:
            pass
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _receive(self) -> Any:
        message = json.loads(self._read())
        if message.get("method") == "Page.lifecycleEvent" and message["params"]["name"] == "load":
            self._loaded.add(message["params"]["loaderId"])
        return message

    def _read(self) -> bytes:
        while b"\0" not in self._received:
            more = os.read(self._from, 1 << 16)
            if not more:
                raise RuntimeError("the browser has ended")
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        return message


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
