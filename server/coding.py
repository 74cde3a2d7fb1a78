"""Answers compressed by gzip, where the client takes it and it saves a packet."""

from __future__ import annotations

import asyncio
import gzip
from functools import lru_cache

from starlette.responses import Response

from server.negotiation import takes_gzip

# Below this an answer and its headers fill no more packets plain than compressed.
SMALLEST = 1400
# From here on the loop would stand still for some milliseconds: zlib lets others run meanwhile in a thread.
_IN_A_THREAD = 128 * 1024
# Level 1 makes JSON of spans some eight times smaller; level 6 saves a sixth more at three times the cost.
_LEVEL = 1
# Hot answers are the same bytes again and again, and to compress them costs as much as all else that they do.
_LONGEST_KEPT = 32 * 1024
_MOST_KEPT = 256


async def coded(response: Response, accept_encoding: str | None) -> Response:
    body = bytes(response.body)
    if len(body) < SMALLEST or not takes_gzip(accept_encoding):
        return response
    if len(body) >= _IN_A_THREAD:
        small = await asyncio.to_thread(_gzip, body)
    else:
        small = _known_gzip(body) if len(body) <= _LONGEST_KEPT else _gzip(body)
    response.body = small
    response.headers["content-encoding"] = "gzip"
    response.headers["content-length"] = str(len(small))
    return response


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, _LEVEL, mtime=0)


_known_gzip = lru_cache(maxsize=_MOST_KEPT)(_gzip)
