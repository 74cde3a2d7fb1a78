"""A calendar server that costs next to nothing: each answer is written beforehand.

`python -m benchmarks.api.caldav PORT SPANS SINCE`
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from xml.sax.saxutils import escape

from benchmarks.api import data


def answers(spans: int, since: int) -> dict[tuple[str, str], bytes]:
    """By path, and by what the REPORT is: names by calendar-query, texts by multiget."""
    names: defaultdict[int, list[str]] = defaultdict(list)
    texts: defaultdict[int, list[str]] = defaultdict(list)
    for calendar, name, text in data.resources(data.events(spans, since)):
        href, etag = f"/{calendar}/{name}", f"<getetag>&quot;{name[:8]}&quot;</getetag>"
        names[calendar].append(_response(href, etag))
        body = f'<calendar-data xmlns="urn:ietf:params:xml:ns:caldav">{escape(text)}</calendar-data>'
        texts[calendar].append(_response(href, etag + body))
    made: dict[tuple[str, str], bytes] = {}
    for calendar in range(data.CALENDARS):
        made[f"/{calendar}/", "calendar-query"] = _multistatus(names[calendar])
        made[f"/{calendar}/", "calendar-multiget"] = _multistatus(texts[calendar])
    return made


def _response(href: str, properties: str) -> str:
    status = "<status>HTTP/1.1 200 OK</status>"
    return f"<response><href>{href}</href><propstat><prop>{properties}</prop>{status}</propstat></response>"


def _multistatus(responses: list[str]) -> bytes:
    prologue = '<?xml version="1.0" encoding="UTF-8"?>'
    body = f'{prologue}<multistatus xmlns="DAV:">{"".join(responses)}</multistatus>'.encode()
    head = (
        "HTTP/1.1 207 Multi-Status\r\ncontent-type: application/xml; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def serve(port: int, spans: int, since: int) -> None:
    made = answers(spans, since)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lengths = [
                    int(line.partition(":")[2])
                    for line in head.split("\r\n")
                    if line.lower().startswith("content-length:")
                ]
                body = await reader.readexactly(lengths[0]) if lengths else b""
                kind = "calendar-multiget" if b"calendar-multiget" in body else "calendar-query"
                writer.write(made[head.split(" ")[1], kind])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
