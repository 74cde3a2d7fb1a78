"""What a poll has to do: which resources to fetch and forget, when to look again, what an error means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

from domain.accounts import AccountStatus, ICloudProblemCode
from domain.interval import Span
from domain.zones import DAY, day_at, day_edges
from sync.remote import (
    Broken,
    ETag,
    ForeignHost,
    Gone,
    Href,
    Listed,
    NameTooLong,
    PasswordRefused,
    PasswordUnreadable,
    RemoteChange,
    RemoteError,
    Stalled,
    Throttled,
    Unreachable,
)
from sync.settings import SyncSettings


@dataclass(frozen=True, slots=True)
class PullPlan:
    fetch: dict[Href, ETag | None]
    forget: frozenset[Href]

    def forgetting(self, these: frozenset[Href]) -> PullPlan:
        """These alone."""
        return PullPlan(self.fetch, these)


def plan_pull(known: Mapping[Href, ETag], changes: Iterable[RemoteChange], *, full_listing: bool) -> PullPlan:
    """Compare what the server reports with what we hold.

    Only a full listing may make us forget what it does not mention: an
    incremental answer says nothing about the resources it leaves out.
    """
    listed: dict[Href, ETag | None] = {}
    gone: set[Href] = set()
    for change in changes:
        match change:
            case Listed(href, etag):
                listed[href] = etag
                gone.discard(href)
            case Gone(href):
                gone.add(href)
                listed.pop(href, None)
    if full_listing:
        gone |= known.keys() - listed.keys()
    return PullPlan(
        # Without an ETag there is no telling: fetch it.
        fetch={href: etag for href, etag in listed.items() if etag is None or known.get(href) != etag},
        forget=frozenset(gone & known.keys()),
    )


FEW_GONE = 20
"""Never too much at once, however little is left."""


def is_mass_removal(known: int, gone: int) -> bool:
    """So much gone at once is more often a server's mistake than the owner's wish."""
    return gone > FEW_GONE and gone * 2 > known


def plan_window(now: float, zone: str, settings: SyncSettings) -> Span:
    """What is kept expanded: whole days of the owner's zone."""
    today = day_at(int(now), zone)
    start = _day_start(today - settings.past_days, zone)
    return Span(start, _day_start(today + settings.horizon_days, zone))


def latest_window(now: float, settings: SyncSettings) -> int:
    """Where one that lost nothing of today ends at most: a later one is of a clock that ran days ahead."""
    # One day further ahead, `past_days` still reach back to today. Days may be shorter by two hours, at Troll.
    return int(now) + (settings.horizon_days + settings.past_days) * DAY - 2 * 3600


def loses_today(known_until: int, window: Span, settings: SyncSettings) -> bool:
    """Whether this window begins after the day that the one before was made on.

    Nobody looked for days; or a clock looks that is ahead of the others by days.
    """
    return window.end - known_until > settings.past_days * DAY + 3600


def window_start(known_until: int, settings: SyncSettings) -> int:
    """Of a window that ends there, within an hour."""
    return known_until - (settings.horizon_days + settings.past_days) * DAY


def plan_roll(now: float, zone: str, key: str, settings: SyncSettings) -> float:
    """When a quiet account's window moves on: after midnight in its owner's zone, each at a time of its own.

    Until then its last day is closed, which lies `horizon_days` ahead. All of a zone at once would keep a process busy.
    """
    return _day_start(day_at(int(now), zone) + 1, zone) + _share(key) * settings.roll_lasts


def _day_start(day: int, zone: str) -> int:
    edges = day_edges(day, zone)
    return edges[0] if edges else _day_start(day + 1, zone)  # A date that the zone skipped.


def plan_next_poll(
    settings: SyncSettings,
    *,
    now: float,
    watched_until: float | None,
    last_changed_at: float | None,
    connected_at: float,
    chance: float,
) -> float:
    """When to look again after a poll that went well; `chance` is in [0, 1)."""
    quiet_since = last_changed_at or connected_at
    if watched_until is not None and watched_until > now:
        every = settings.watched_every
    elif now - quiet_since >= settings.quiet_after:
        every = settings.quiet_every
    else:
        every = settings.usual_every
    return now + _jittered(every, settings.jitter, chance)


def plan_comparison(now: float, zone: str, key: str, settings: SyncSettings) -> float:
    """When a calendar is next compared in full: in its owner's next night, each at a time of its own."""
    midnight = _day_start(day_at(int(now), zone) + 1, zone)
    return midnight + settings.night_starts + _share(key) * settings.night_lasts


def latest_comparison(now: float, settings: SyncSettings) -> float:
    """No later one is planned: the end of the next night, on a day of 25 hours."""
    return now + DAY + 3600 + settings.night_starts + settings.night_lasts


def plan_look(looks: int, settings: SyncSettings) -> float:
    """Seconds until what was not given is asked for again; `looks` in vain so far."""
    return _backoff(settings.first_comparison_after, settings.longest_look, looks + 1)


def _share(key: str) -> float:
    """In [0, 1), the same for the same key."""
    return crc32(key.encode()) / 2**32


@dataclass(frozen=True, slots=True)
class Recovery:
    """What becomes of the account after a poll that failed. `retry_at` None: a person must act."""

    status: AccountStatus
    code: ICloudProblemCode
    message: str
    retry_at: float | None


def plan_recovery(
    error: RemoteError,
    settings: SyncSettings,
    *,
    has_chosen: bool,
    failures: int,
    refusals: int,
    now: float,
    chance: float,
) -> Recovery:
    """`failures` and `refusals` in a row, this one counted."""
    code, message = describe(error)
    if isinstance(error, PasswordUnreadable):
        # Whether the key is back is seen without a request: nobody is locked out by looking.
        return Recovery(AccountStatus.NEEDS_NEW_PASSWORD, code, message, now + settings.longest_outage_retry)
    if isinstance(error, PasswordRefused) and refusals >= settings.refusals_before_stop:
        # Apple locks accounts that are asked on and on with a wrong password.
        return Recovery(AccountStatus.NEEDS_NEW_PASSWORD, code, message, None)
    if isinstance(error, PasswordRefused):
        wait = _backoff(settings.first_refusal_retry, settings.longest_retry, refusals)
    else:
        wait = _backoff(settings.first_retry, _longest(error, settings, settings.longest_retry), failures)
    wait = _jittered(wait, settings.jitter, chance)
    if isinstance(error, Throttled):
        # Told to wait a year, we look again in an hour all the same; told to wait a second, we keep our own floor.
        wait = max(wait, _asked_for(error, settings.longest_retry))
    if not has_chosen:
        return Recovery(AccountStatus.NEEDS_CALENDARS, code, message, None)  # There is nothing to read yet.
    return Recovery(AccountStatus.UNREACHABLE, code, message, now + wait)


def describe(error: RemoteError) -> tuple[ICloudProblemCode, str]:
    """The problem's code, and a sentence that its owner can act on."""
    match error:
        case PasswordRefused():
            return ICloudProblemCode.PASSWORD_REFUSED, (
                "Apple did not accept this Apple Account and app-specific password. Use the e-mail you sign in with "
                "at account.apple.com and a fresh app-specific password made there, not your Apple password."
            )
        case PasswordUnreadable():
            return ICloudProblemCode.PASSWORD_REFUSED, (
                "The stored app-specific password can't be opened with this server's sealing keys: give a new one "
                "here, or have the operator bring the key back."
            )
        case Throttled():
            return ICloudProblemCode.THROTTLED, "iCloud asks to wait; it is tried again by itself."
        case Unreachable():
            return ICloudProblemCode.UNREACHABLE, "iCloud can't be reached; it is tried again by itself."
        case ForeignHost():
            return ICloudProblemCode.UNEXPECTED_ANSWER, (
                "The calendar server named an address that is not allowed; nothing was sent there."
            )
        case NameTooLong():
            return ICloudProblemCode.UNEXPECTED_ANSWER, (
                "An event's address in iCloud is too long to be kept, so the times of its calendar stay closed: delete "
                "the event there, or make it anew."
            )
        case Broken():
            return ICloudProblemCode.UNEXPECTED_ANSWER, (
                "Something went wrong on our side while iCloud was read; it is tried again by itself."
            )
        case _:
            return ICloudProblemCode.UNEXPECTED_ANSWER, (
                "iCloud's answer could not be understood; it is tried again by itself."
            )


def plan_write_retry(
    error: RemoteError, settings: SyncSettings, *, attempts: int, now: float, chance: float
) -> float:
    """When to try a write again; `attempts` so far, this one counted."""
    longest = _longest(error, settings, settings.longest_write_retry)
    wait = _jittered(_backoff(settings.first_write_retry, longest, attempts), settings.jitter, chance)
    if isinstance(error, Throttled):
        wait = max(wait, _asked_for(error, settings.longest_write_retry))
    if isinstance(error, PasswordRefused):
        # The polls find out whether it is refused for good; many writes must not ask Apple meanwhile.
        wait = max(wait, settings.quiet_every)
    return now + wait


def plan_hold_back(error: Throttled, settings: SyncSettings, *, now: float, due_at: float) -> float:
    """When the others of its account may be written, where one that was told to wait is tried again at `due_at`.

    How often that one was told so is not held against a booking made just now.
    """
    wait = max(_asked_for(error, settings.longest_write_retry), settings.longest_outage_retry)
    return min(due_at, now + wait)


def _asked_for(error: Throttled, longest: float) -> float:
    """Seconds; none where the server did not say how many."""
    return min(max(error.retry_after or 0.0, 0.0), longest)


def _longest(error: RemoteError, settings: SyncSettings, usual: float) -> float:
    is_outage = isinstance(error, Unreachable) and not isinstance(error, Stalled)
    return min(usual, settings.longest_outage_retry) if is_outage else usual


def _backoff(first: float, longest: float, failures: int) -> float:
    return min(first * 2.0 ** min(max(failures - 1, 0), 30), longest)


def _jittered(seconds: float, jitter: float, chance: float) -> float:
    return seconds * (1 - jitter + 2 * jitter * chance)
