"""The numbers of the way to a calendar server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    request_seconds: float = 30.0
    most_bytes: int = 64 * 1024 * 1024
    connections: int = 256
    "For polls, and as many for all else."
    requests_per_minute: int | None = None
    "For one account, at most; None for any number."
    user_agent: str = "Slotwire/0.1"
    ca_file: Path | None = None
    "An authority to trust beside the machine's: that of a server of one's own."
