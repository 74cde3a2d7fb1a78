"""How an answer that goes on is written over HTTP: as server-sent events, or in parts as Apollo's clients take them."""

from __future__ import annotations

from typing import Protocol

import orjson
from graphql import GraphQLError

from server.engine import Answer
from server.negotiation import EVENT_STREAM, MULTIPART


class Framing(Protocol):
    content_type: str
    beat_every: float
    """Seconds of silence after which a sign of life is sent: proxies drop what is silent for long."""
    opening: bytes
    beat: bytes
    ending: bytes

    def event(self, answer: Answer) -> bytes: ...

    def last_word(self, problem: GraphQLError) -> bytes:
        """Why the server ends it for good."""


class EventStream:
    """graphql-sse's distinct connections (enisdenjo/graphql-sse, PROTOCOL.md).

    Lines end with LF alone, and `data:` stands alone when there is none: urql splits at two of them, and parses what
    follows `data: `.
    """

    content_type = f"{EVENT_STREAM}; charset=utf-8"
    beat_every = 12.0
    opening = b":\n\n"
    beat = b":\n\n"
    ending = b"event: complete\ndata:\n\n"

    def event(self, answer: Answer) -> bytes:
        return b"event: next\ndata: " + answer.as_bytes() + b"\n\n"

    def last_word(self, problem: GraphQLError) -> bytes:
        return b"event: next\ndata: " + orjson.dumps({"errors": [problem.formatted]}) + b"\n\n"


class Parts:
    """Apollo's multipart protocol for subscriptions, 1.0. Clients see a part once the boundary after it has come."""

    content_type = f'{MULTIPART};boundary="graphql";subscriptionSpec="1.0"'
    beat_every = 5.0
    opening = b"\r\n--graphql"
    beat = b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql"
    ending = b"--\r\n"

    def event(self, answer: Answer) -> bytes:
        return _part(b'{"payload":' + answer.as_bytes() + b"}")

    def last_word(self, problem: GraphQLError) -> bytes:
        return _part(orjson.dumps({"payload": None, "errors": [problem.formatted]}))


def _part(body: bytes) -> bytes:
    return b"\r\ncontent-type: application/json\r\n\r\n" + body + b"\r\n--graphql"


def whole(answer: Answer, framing: Framing) -> bytes:
    """A stream of one answer, which is over when it begins."""
    return framing.opening + framing.event(answer) + framing.ending


FRAMINGS: dict[str, Framing] = {EVENT_STREAM: EventStream(), MULTIPART: Parts()}
