"""A real Chromium without a window, driven by its DevTools protocol."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

PATIENCE_SECONDS: Final = 60
_OPTIONS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip


class Browser:
    """A browser that runs; each page has cookies of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._reading = asyncio.create_task(self._read())

    async def page(self) -> "Page":
        """Returns a new page, as of a person who was never here."""
        context = (await self.ask("Target.createBrowserContext"))["browserContextId"]
        target = await self.ask("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Network", "Runtime", "Log"):
            await page.ask(f"{domain}.enable")
        await page.ask("Page.setLifecycleEventsEnabled", enabled=True)
        return page

    async def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Returns the answer to one command."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps(message))
        async with asyncio.timeout(PATIENCE_SECONDS):
            told: dict[str, Any] = await answer
        return told

    async def close(self) -> None:
        """Ends the browser."""
        await self.ask("Browser.close")
        with suppress(ConnectionClosed):
            await self._reading

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" not in message:
                if (page := self._pages.get(message.get("sessionId", ""))) is not None:
                    page.hear(message["method"], message["params"])
                continue
            answer = self._answers.pop(message["id"])
            if "error" in message:
                answer.set_exception(RuntimeError(str(message["error"])))
            else:
                answer.set_result(message["result"])


class Page:
    """One page: what a person does with it, and what it asked for and complained of."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self._loaded: set[str] = set()
        """What was loaded, by the browser's name of each loading."""
        self._heard = asyncio.Event()
        self.requests: list[str] = []
        self.complaints: list[str] = []

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Returns the answer to one command for this page."""
        return await self._browser.ask(method, self._session, **parameters)

    def hear(self, event: str, told: dict[str, Any]) -> None:
        """Notes what happened."""
        if event == "Page.lifecycleEvent" and told["name"] == "load":
            self._loaded.add(told["loaderId"])
            self._heard.set()
        elif event == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(told["args"]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    async def go(self, url: str) -> None:
        """Opens an address, and waits until it is loaded."""
        loading = (await self.ask("Page.navigate", url=url))["loaderId"]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while loading not in self._loaded:  # and not the end of what was loaded before
                self._heard.clear()
                await self._heard.wait()

    async def says(self, expression: str) -> Any:
        """Returns the value of an expression in the page."""
        found = await self.ask(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        """Waits until an expression is true, also while one page takes the place of another."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    if await self.says(expression):
                        return
                except (RuntimeError, AssertionError):  # the page that was asked is gone
                    pass
                await asyncio.sleep(0.02)

    async def click(self, selector: str) -> None:
        """Presses the mouse on the middle of an element."""
        chosen = json.dumps(selector)
        place = await self.says(
            f"(() => {{ const e = document.querySelector({chosen}); e.scrollIntoView({{block: 'center'}}); "
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    async def write(self, selector: str, text: str) -> None:
        """Writes into a field."""
        await self.says(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.ask("Input.insertText", text=text)

    async def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Gives the window a size; a phone has two dots for each."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    async def dark(self) -> None:
        """Has the person prefer dark pages."""
        await self.ask(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}]
        )

    async def without_scripts(self) -> None:
        """Turns JavaScript off."""
        await self.ask("Emulation.setScriptExecutionDisabled", value=True)

    async def picture(self) -> bytes:
        """Returns a picture of the whole page, as PNG."""
        taken = await self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])


@asynccontextmanager
async def opened(program: Path, folder: Path) -> AsyncIterator[Browser]:
    """Runs a browser with a profile of its own in `folder`."""
    process = await asyncio.create_subprocess_exec(
        str(program),
        *_OPTIONS,
        f"--user-data-dir={folder}",
        "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with connect(await _address(folder, process), max_size=None) as socket:
            browser = Browser(socket)
            yield browser
            await browser.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _address(folder: Path, process: asyncio.subprocess.Process) -> str:
    """Returns where the browser listens: it writes a port of its own choice into its profile."""
    path = folder / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            assert process.returncode is None, "the browser ended at its start"
            lines = path.read_text("utf-8").splitlines() if path.exists() else []
            if len(lines) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await asyncio.sleep(0.02)
