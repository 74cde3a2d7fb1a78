"""A headless Chromium, driven over the DevTools protocol, that can reach nothing but this machine."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--window-size=1400,900",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(slots=True)
class Page:
    """One tab. `complaints` gathers what a developer would see in red, `frames` what went out by websocket."""

    socket: ClientConnection
    session: str = ""
    complaints: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    answers: dict[int, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        number = len(self.answers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, object] = {"id": number, "method": method, "params": params}
        await self.socket.send(json.dumps(message | ({"sessionId": self.session} if self.session else {})))
        return await asyncio.wait_for(self.answers[number], 60)

    async def listen(self) -> None:
        async for text in self.socket:
            match json.loads(text):
                case {"id": number, "result": result}:
                    self.answers[number].set_result(result)
                case {"id": number, "error": error}:
                    self.answers[number].set_exception(RuntimeError(str(error)))
                case {"method": method, "params": params}:
                    self.hear(method, params)

    def hear(self, method: str, params: Mapping[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.complaints.append(json.dumps(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.complaints.append(json.dumps(params["entry"]))
            case "Network.requestWillBeSent" if params["request"]["url"].startswith("http"):
                self.hosts.add(urlsplit(params["request"]["url"]).hostname or "")
            case "Network.webSocketFrameSent":
                self.frames.append(params["response"]["payloadData"])
            case "Network.webSocketCreated":
                self.hosts.add(urlsplit(params["url"]).hostname or "")

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)

    async def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def wait_until(self, script: str, *, within: float = 60) -> Any:
        """The expression's first truthy value, true for an element; what it throws counts as not yet."""
        value_or_null = f"(found => found instanceof Node || found || null)({script})"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while loop.time() < deadline:
            with suppress(RuntimeError):
                if (value := await self.run(value_or_null)) is not None:
                    return value
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{script} stayed false; the page says {self.complaints or 'nothing'}")

    async def type_into(self, selector: str, text: str) -> None:
        await self.run(f"(field => (field.focus(), field.select()))(document.querySelector({selector!r}))")
        await self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", windowsVirtualKeyCode=13, text="\r"
            )

    async def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        picture = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(picture["data"]))


@asynccontextmanager
async def open_browser(program: str) -> AsyncIterator[Page]:
    with TemporaryDirectory(prefix="slotwire-chromium-", ignore_cleanup_errors=True) as home:
        command = [program, *FLAGS, f"--user-data-dir={home}", "about:blank"]
        chromium = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": home},
            start_new_session=True,
        )
        try:
            async with (
                connect(await devtools_address(Path(home)), max_size=None) as socket,
                attached(socket) as page,
            ):
                yield page
        finally:
            end(chromium)


def end(chromium: subprocess.Popen[bytes]) -> None:
    """Its children outlive it for a moment, writing into the folder that is about to be removed."""
    chromium.terminate()
    with suppress(subprocess.TimeoutExpired):
        chromium.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(chromium.pid, signal.SIGKILL)
    chromium.wait()


async def devtools_address(home: Path) -> str:
    for _ in range(600):
        with suppress(FileNotFoundError, ValueError):
            port, path = (home / "DevToolsActivePort").read_text().splitlines()
            return f"ws://127.0.0.1:{port}{path}"
        await asyncio.sleep(0.1)
    raise TimeoutError("Chromium did not start within 60 s")


@asynccontextmanager
async def attached(socket: ClientConnection) -> AsyncIterator[Page]:
    page = Page(socket)
    listening = asyncio.create_task(page.listen())
    try:
        target = (await page.call("Target.createTarget", url="about:blank"))["targetId"]
        page.session = (await page.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await page.call(f"{domain}.enable")
        yield page
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
