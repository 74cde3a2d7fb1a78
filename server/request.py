"""A GraphQL request as clients send it: in a body, in a query string, in a websocket's frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

MOST_BYTES = 64 * 1024

_HASH = re.compile(r"[0-9a-f]{64}")
_JSON_PARAMETERS = ("variables", "extensions")
_PARAMETERS = ("query", "operationName", *_JSON_PARAMETERS)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was sent. A document can be named by its SHA-256 alone, once the server has seen it."""

    query: str | None
    sha256: str | None = None
    operation_name: str | None = None
    variables: Mapping[str, object] = field(default_factory=dict)


def read_body(body: bytes) -> Asked | str:
    """The request in a POST's body, or what is wrong with it."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "The body is not JSON, or has a number that is out of range."
    return read_request(found)


def read_parameters(parameters: Sequence[tuple[str, str]]) -> Asked | str:
    """The request in a GET's query string, or what is wrong with it. What is not ours is passed over."""
    ours = [(name, text) for name, text in parameters if name in _PARAMETERS]
    found: dict[str, object] = dict(ours)
    if len(found) < len(ours):
        return "Give each parameter once."
    for name in _JSON_PARAMETERS:
        text = found.get(name)
        if not isinstance(text, str):
            continue
        try:
            # An empty one counts as one left out: forms send those.
            found[name] = orjson.loads(text or "null")
        except orjson.JSONDecodeError:
            return f"`{name}` is not JSON."
    return read_request({name: value for name, value in found.items() if value != ""})


def read_request(found: object) -> Asked | str:
    """The request in what was parsed from JSON, or what is wrong with it."""
    if isinstance(found, list):
        return "Send one operation at a time: there is no batching."
    if not isinstance(found, dict):
        return "Send an object with `query`."
    query, name = found.get("query"), found.get("operationName")
    if name is not None and not isinstance(name, str):
        return "Give `operationName` as a text."
    for parameter in _JSON_PARAMETERS:
        if not isinstance(found.get(parameter), dict | None):
            return f"Give `{parameter}` as an object."
    sha256 = _read_hash((found.get("extensions") or {}).get("persistedQuery"))
    if sha256 == "":
        return (
            'Give `extensions.persistedQuery` as {"version": 1, "sha256Hash": …}, the hash in lower-case hex.'
        )
    if sha256 is not None and query in {None, ""}:
        query = None
    elif not isinstance(query, str) or not query.strip():
        return "Give the document as a text in `query`."
    return Asked(query, sha256, name, found.get("variables") or {})


def _read_hash(found: object) -> str | None:
    """None where there is none; empty where it is no hash of the one version there is."""
    if found is None:
        return None
    if not isinstance(found, dict) or found.get("version") != 1:
        return ""
    sha256 = found.get("sha256Hash")
    return sha256 if isinstance(sha256, str) and _HASH.fullmatch(sha256) else ""
