"""What a client takes for an answer: media types by RFC 9110 12.5.1, content codings by 12.5.3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"
_SUBSCRIPTION_SPEC = "1.0"
_LONGEST_KNOWN = 300


@dataclass(frozen=True, slots=True)
class Accepted:
    """`json` and `stream` are the best of each kind; None where none of it is taken."""

    json: str | None
    stream: str | None
    prefers_stream: bool

    @property
    def is_nothing(self) -> bool:
        return self.json is None and self.stream is None

    @property
    def told(self) -> str:
        """The media type of what is said outside of a stream: a client that takes streams alone reads JSON too."""
        return self.json or JSON

    def streams(self, *, is_subscription: bool) -> str | None:
        """The stream to answer with. Some clients list one in every request: one answer goes there if liked best."""
        return self.stream if is_subscription or self.prefers_stream else None


@dataclass(frozen=True, slots=True)
class _Choice:
    media_type: str
    parameters: Mapping[str, str]
    weight: float


def accepted(header: str | None) -> Accepted:
    # Clients send one of a few; what is longer than any of theirs is read each time.
    return _known(header) if header is None or len(header) <= _LONGEST_KNOWN else _accepted(header)


def _accepted(header: str | None) -> Accepted:
    choices = list(_choices(header or "*/*"))
    json, json_weight = _best_json(choices)
    stream, stream_weight = _best_stream(choices)
    return Accepted(json, stream, prefers_stream=stream_weight > json_weight)


_known = lru_cache(maxsize=256)(_accepted)


def _best_json(choices: list[_Choice]) -> tuple[str | None, float]:
    """application/json where both are liked alike and neither, or only it, is named: older clients expect it."""
    weights = {choice.media_type: choice.weight for choice in choices}
    best: str | None = None
    best_weight = 0.0
    for media_type in (JSON, GRAPHQL_JSON):
        patterns = (media_type, "application/*", "*/*")
        weight = next((weights[pattern] for pattern in patterns if pattern in weights), 0.0)
        is_named = media_type in weights
        if weight > best_weight or (weight == best_weight > 0 and is_named and media_type == GRAPHQL_JSON):
            best, best_weight = media_type, weight
    return best, best_weight


def _best_stream(choices: list[_Choice]) -> tuple[str | None, float]:
    """Only what is named: no one who takes anything waits for a stream. The first of those that are liked alike."""
    streams = [choice for choice in choices if choice.weight > 0 and _is_stream(choice)]
    best = max(streams, key=lambda choice: choice.weight, default=None)
    return (None, 0.0) if best is None else (best.media_type, best.weight)


def _is_stream(choice: _Choice) -> bool:
    if choice.media_type == MULTIPART:
        # Without it, multipart/mixed is for answers in pieces (@defer), which there are none of here.
        return choice.parameters.get("subscriptionspec") == _SUBSCRIPTION_SPEC
    return choice.media_type == EVENT_STREAM


def _choices(header: str) -> Iterator[_Choice]:
    for choice in header.split(","):
        media_type, *rest = (part.strip() for part in choice.lower().split(";"))
        pairs = (part.partition("=") for part in rest)
        parameters = {name.strip(): value.strip().strip('"') for name, _, value in pairs}
        if media_type:
            yield _Choice(media_type, parameters, _weight(parameters.pop("q", "1")))


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def takes_gzip(header: str | None) -> bool:
    """Whether gzip is named, or anything, and not refused with q=0."""
    return _known_gzip(header) if header is None or len(header) <= _LONGEST_KNOWN else _takes_gzip(header)


def _takes_gzip(header: str | None) -> bool:
    weights = {
        name.strip(): _weight(rest.strip().removeprefix("q=") or "1")
        for name, _, rest in (choice.partition(";") for choice in (header or "").lower().split(","))
    }
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


_known_gzip = lru_cache(maxsize=256)(_takes_gzip)
