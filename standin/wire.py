"""A request as it comes in by uvicorn, and an answer on its way out: also one that is cut, crawls, or comes twice."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Callable, Sequence
from typing import Any

from standin.messages import Delivery, Request, Response

_DRIPS_A_SECOND = 10
_MOST_KEPT = 1 << 25  # Bytes of a request: more than the largest object.
_LONGEST_WAY = 30  # Seconds for what is written to arrive.
_AT_ONCE = Delivery()


async def read_request(scope: dict[str, Any], receive: Callable[..., Any], listener: str) -> Request | None:
    """None where the connection ends before the request does: nothing is done of what was asked by half."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        # What nobody takes is read to its end, and not kept.
        body += message.get("body", b"")[: _MOST_KEPT - len(body)]
        more = message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(
        method=scope["method"],
        path=scope["path"],
        headers=headers,
        body=bytes(body),
        listener=listener,
        raw_path=scope["raw_path"].decode("latin-1"),
    )


async def deliver(
    response: Response, receive: Callable[..., Any], send: Callable[..., Any], transport: asyncio.Transport
) -> None:
    how = response.delivery or _AT_ONCE
    if how.after:
        await _silent(how.after, receive)
    cut_at = len(response.body) // 2 if how.half else how.cut_at
    if cut_at is not None and cut_at < 0:
        await abort(transport)
        return
    headers = _headers(response)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if cut_at is not None and cut_at < len(response.body):
        await send({"type": "http.response.body", "body": response.body[:cut_at], "more_body": True})
        await _arrived(transport)  # Before the reset overtakes it.
        await abort(transport)
        return
    if how.rate:
        await _drip(response.body, how.rate, send, transport)
    await send({"type": "http.response.body", "body": b"" if how.rate else response.body})
    if how.twice and not transport.is_closing():
        transport.write(_on_the_wire(response, headers))


def _headers(response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if response.status not in {204, 304}:  # RFC 9110 8.6: these have no Content-Length of what they carry.
        headers.append((b"content-length", str(len(response.body)).encode()))
    return headers


async def _silent(seconds: float, receive: Callable[..., Any]) -> None:
    """As long as somebody waits: what is received after the body is the end of the connection."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await receive()


async def _drip(body: bytes, rate: int, send: Callable[..., Any], transport: asyncio.Transport) -> None:
    drop = max(rate // _DRIPS_A_SECOND, 1)
    for at in range(0, len(body), drop):
        if transport.is_closing():
            return
        await send({"type": "http.response.body", "body": body[at : at + drop], "more_body": True})
        await asyncio.sleep(drop / rate)


async def _arrived(transport: asyncio.Transport) -> None:
    """Until all that was written is with the other side, which may read slowly: a reset throws away what waits here."""
    connected = transport.get_extra_info("socket")
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_LONGEST_WAY):
            while not transport.is_closing() and (transport.get_write_buffer_size() or _unsent(connected)):  # noqa: ASYNC110 - the kernel tells nobody.
                await asyncio.sleep(0.005)


def _unsent(connected: Any) -> int:
    """Bytes that the kernel holds and the other side's has not taken."""
    return int.from_bytes(fcntl.ioctl(connected.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)


async def abort(transport: asyncio.Transport) -> None:
    connected = transport.get_extra_info("socket")
    if connected is not None and not transport.is_closing():
        # Zero seconds to linger: the other side gets a reset, and no end of file.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)  # The loop reports the lost connection before the application returns.


def _on_the_wire(response: Response, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    lines = [b"HTTP/1.1 %d Again" % response.status, *(b"%s: %s" % header for header in headers), b"", b""]
    return b"\r\n".join(lines) + response.body
