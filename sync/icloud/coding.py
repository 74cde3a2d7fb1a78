"""The coding in which an answer's body was sent: undone within bounds, whatever it unpacks to."""

from __future__ import annotations

import asyncio
import zlib

from sync.icloud.answers import is_refused_at_all
from sync.remote import UnexpectedAnswer

_INFLATED_AT_ONCE = 16 * 1024
"""Bytes on the wire: even a bomb of so many is out in milliseconds; more are inflated in a thread."""


async def body_of(status: int, wire: bytes, coding: str, most: int) -> bytes:
    """The body, decoded. Where the status says all, what can't be decoded is none; else UnexpectedAnswer is raised."""
    try:
        return await _decoded(wire, coding, most)
    except UnexpectedAnswer:
        if not is_refused_at_all(status):
            raise
        return b""


async def _decoded(wire: bytes, coding: str, most: int) -> bytes:
    """What was sent in this Content-Encoding. Raises UnexpectedAnswer as `inflate` does, and for another coding."""
    match coding.strip().lower():
        case "identity" | "":
            return wire
        case "gzip" | "x-gzip":
            if len(wire) <= _INFLATED_AT_ONCE:
                return inflate(wire, most)
            return await asyncio.to_thread(inflate, wire, most)
        case _:
            raise UnexpectedAnswer(f"an answer in {coding[:40]}")


def inflate(wire: bytes, most: int) -> bytes:
    """Never more than `most` bytes of it are made; raises UnexpectedAnswer where there are more."""
    decoder = zlib.decompressobj(wbits=31)
    try:
        whole = decoder.decompress(wire, most + 1)
    except zlib.error:
        raise UnexpectedAnswer("an answer that is no gzip") from None
    if len(whole) > most:
        raise UnexpectedAnswer(f"an answer of over {most} bytes")
    if wire and (not decoder.eof or decoder.unused_data):
        raise UnexpectedAnswer("an answer that is not one whole gzip")
    return whole
