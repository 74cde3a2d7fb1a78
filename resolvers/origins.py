"""The origins of a BOOKING key: from which pages browsers may call with it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from resolvers.outcomes import InvalidInput

MOST_ORIGINS = 50
_LENGTH = 300
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]")


def check_origins(origins: Sequence[str] | None) -> list[str] | InvalidInput | None:
    """As browsers send them: `scheme://host[:port]`, lower-case, without the scheme's own port."""
    if origins is None:
        return None
    if len(origins) > MOST_ORIGINS:
        return InvalidInput(f"Give at most {MOST_ORIGINS} origins.", "allowedOrigins")
    read = [_read_origin(origin) for origin in origins]
    if None in read:
        return InvalidInput(
            "Give an origin as https://example.com or http://localhost:3000: scheme, host and port alone.",
            f"allowedOrigins.{read.index(None)}",
        )
    return list(dict.fromkeys(origin for origin in read if origin is not None))


def _read_origin(text: str) -> str | None:
    text = text.strip().lower()
    if len(text) > _LENGTH or not text.isascii():
        return None
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc.removesuffix(f":{port}")
    if (
        parts.scheme not in {"http", "https"}
        or not _HOST.fullmatch(host)
        or text != f"{parts.scheme}://{parts.netloc}"
    ):
        return None
    is_usual = port is None or port == {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{port}"
