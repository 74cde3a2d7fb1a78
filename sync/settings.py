"""Every number of the sync engine, and the server that it speaks to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from domain.accounts import LONGEST_RETRY

ICLOUD_URL = "https://caldav.icloud.com/"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    """Spans of time in seconds, unless they say days."""

    caldav_url: str = ICLOUD_URL
    caldav_hosts: frozenset[str] = frozenset()
    "Hosts (`name` or `name:port`) allowed beside the URL's own; iCloud's partition hosts need no mention."
    caldav_ca_file: Path | None = None
    "An authority to trust beside the machine's."
    allows_china: bool = False
    "Whether `caldav.icloud.com.cn` and its partitions are allowed."

    past_days: int = 1
    horizon_days: int = 400

    watched_every: float = 15
    usual_every: float = 60
    quiet_every: float = 300
    quiet_after: float = 86_400
    jitter: float = 0.2
    first_retry: float = 30
    longest_retry: float = LONGEST_RETRY
    longest_outage_retry: float = 300
    "Where no answer came, of a poll or a write: an outage that ended is noticed soon, at what a quiet account costs."
    first_refusal_retry: float = 60
    "After a refused password: longer than after other failures, and doubled too. Apple locks accounts."
    refusals_before_stop: int = 3

    listing_lasts: float = 1
    "The home's word of what changed, while a poll goes on: older, it is asked for again before what is gone goes."
    arrives_within: float = 2
    "After something went from one of several calendars: a device that moves it may write it to another only then."
    removal_wait: float = 60
    "Over half and over 20 resources gone at once: how much later a second listing must say so again."
    most_missing_polls: int = 5
    "How often resources that are listed but not given hold a calendar back, and a change that nothing is told of."
    longest_look: float = 900
    "Between two looks for what is listed and never given: each time, all of its calendar is listed."
    first_comparison_after: float = 120
    "After all of a calendar was read anew: when it is held against a second, full listing."
    roll_lasts: float = 3600
    "The windows of quiet accounts move on within so long after midnight in their owners' zones, each at its own time."
    rereads_every: float = 1
    "Where rules of time zones changed: after so long the next account's texts are read again, by one process."
    rules_last: float = 3600
    "So long after a process was last heard of with its rules, they may be in force: it says so at each housekeeping."
    night_starts: float = 3600
    night_lasts: float = 4 * 3600
    "When calendars are compared in full, each at its own time: seconds from midnight in the owner's zone."

    request_seconds: float = 20
    connect_seconds: float = 35
    "For signing in and listing, together: over before the call that asks for it is cut off."
    most_answer_bytes: int = 64 * 1024 * 1024
    requests_per_minute: int = 240
    "To the calendar server, at most, for one account."
    batch: int = 50
    requests_in_flight: int = 2
    answers_stored_at_once: int = 16
    "A transaction for each would cost more than what it stores; an interrupted first read goes on after the last one."
    poll_seconds: float = 600
    concurrent_polls: int = 64
    most_polls: int = 1024
    "Those too that wait for iCloud's first word: after `word_within` they take no other's place."
    word_within: float = 0.2
    "Seconds that a poll or a write waits at its place for what iCloud says; then another has it."
    most_silent: int = 256
    "Of polls, and of writes, that have given up their place so; others keep theirs. Each may bring much to be read."
    first_reads_at_once: int = 8
    "Of calendars that were never read: with iCloud a tenth of a second away they keep a core busy."
    concurrent_pushes: int = 16
    lease: float = 30
    "How long a process that died keeps an account or a write from the others; renewed while it lives."
    look_every: float = 1
    "How often the loop looks for what is due, when nothing rings."
    drain: float = 3.5
    "How long what is under way may go on when the process ends; all of its ending takes ten."

    first_write_retry: float = 5
    longest_write_retry: float = 3600

    keep_changes: float = 7 * 86_400
    most_changes: int = 100_000
    hold_for: float = 300
    "How long a guest's hold lasts: one that seems to last longer was made by a clock that ran ahead."
    keep_holds: float = 86_400
    keep_calls: float = 48 * 3600
    housekeeping_every: float = 600
