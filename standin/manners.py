"""Which of iCloud's manners the stand-in shows: a switch each, `STRICT` as captured, `HOSTILE` as also claimed.

Grades say how sure a manner is.
A: captured from or measured against iCloud in public. A-old: years ago, and perhaps gone.
B: several independent clients say the same. C: claimed once, or inferred. D: a guess that a client should survive.
`STRICT` has what is usual; what was captured now and then, or long ago, is hostile's too.
"""

from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any


def _manner(grade: str, what: str, *, strict: object, hostile: object, choices: tuple[str, ...] = ()) -> Any:
    """`strict` is what a `Manners()` has; `hostile` what `HOSTILE` has."""
    return field(
        default=strict, metadata={"grade": grade, "what": what, "hostile": hostile, "choices": choices}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """One switch a manner that a test may want to see alone."""

    # --- Sign-in and transport
    realm: str = _manner("A", "the realm of the challenge", strict="MMCalDav", hostile="MMCalDav")
    basic_first: bool = _manner(
        "A", "the Basic challenge comes before X-MobileMe-AuthToken", strict=True, hostile=False
    )
    challenges_merged: bool = _manner(
        "A", "both challenges in one comma-separated header", strict=False, hostile=True
    )
    user_agent_required: bool = _manner("C", "403 without a User-Agent", strict=False, hostile=True)
    gzips: bool = _manner(
        "D", "answers are compressed where the client offers gzip", strict=False, hostile=True
    )
    idle_seconds: int = _manner("C", "a connection idle for so long is closed", strict=30, hostile=1)
    redirect_root: int = _manner(
        "C", "`/` redirects to the partition host, with this status (0: never)", strict=0, hostile=301
    )
    redirect_home: int = _manner(
        "D",
        "the entry host redirects calendars to the partition host, with this status",
        strict=0,
        hostile=308,
    )

    # --- Discovery and listing
    deep_principal_refused: bool = _manner("A", "400 for Depth 1 on the principal", strict=True, hostile=True)
    deep_root_refused: bool = _manner("C", "400 for Depth 1 on `/`", strict=False, hostile=True)
    old_response_href: bool = _manner(
        "A-old", "the principal's answer names `/principal/`, seen until 2022", strict=False, hostile=True
    )
    propstat_status_missing: bool = _manner(
        "A", "every other propstat of what was found has no status", strict=False, hostile=True
    )
    shared_components_missing: bool = _manner(
        "C", "a calendar shared with the owner has no component set", strict=False, hostile=True
    )
    shared_privileges_missing: bool = _manner(
        "C", "a calendar shared with the owner has no privilege set", strict=False, hostile=True
    )
    bare_default_calendar: bool = _manner(
        "C", "schedule-default-calendar-URL holds a path without an href element", strict=False, hostile=True
    )
    push_advertised: bool = _manner(
        "C", "pushkey and push-transports are there, closed to third parties", strict=False, hostile=True
    )
    at_signs_escaped: bool = _manner(
        "A-old", "hrefs spell `@` as %40, and are not found so, as in 2017", strict=False, hostile=True
    )

    # --- Reports
    token_form: str = _manner(
        "A-old",
        "the look of sync tokens, of today or of 2017",
        strict="new",
        hostile="old",
        choices=("new", "old"),
    )
    refused_token: str = _manner(
        "A",
        "what a token that is no good gets: the element, a bare status, or each in turn",
        strict="valid-sync-token",
        hostile="in-turn",
        choices=("valid-sync-token", "403", "409", "410", "412", "in-turn"),
    )
    collection_in_sync: bool = _manner(
        "A", "a sync answer that has changes lists the collection itself", strict=True, hostile=True
    )
    duplicate_hrefs: int = _manner(
        "C", "every so many-th href of a sync answer comes twice (0: none)", strict=0, hostile=3
    )
    lag_polls: int = _manner(
        "B", "so many multigets do not know yet of a change that sync reported", strict=0, hostile=1
    )
    lag_seconds: float = _manner("B", "so many seconds long, likewise", strict=0.0, hostile=0.0)
    lag_shows_old: bool = _manner(
        "B", "what lags shows its old body where there is one, not a 404", strict=False, hostile=True
    )
    multiget_drops: str = _manner(
        "A-old",
        "what multiget leaves out, as in 2017 and 2019: every third, all, or each href's text",
        strict="none",
        hostile="some",
        choices=("none", "some", "all", "hrefs"),
    )
    moved_override_missed: bool = _manner(
        "A", "a time range sees an occurrence only at its original date", strict=True, hostile=True
    )
    unfiltered_query: str = _manner(
        "A-old",
        "a calendar-query that names no VEVENT: a 500 or an empty answer",
        strict="500",
        hostile="empty",
        choices=("500", "empty"),
    )
    expand_empty: bool = _manner("C", "a query that asks to expand finds nothing", strict=False, hostile=True)
    subscription_reports: str = _manner(
        "D", "a REPORT on a subscription", strict="403", hostile="empty", choices=("403", "empty")
    )

    # --- Writes
    any_match_backwards: bool = _manner(
        "A", "`If-Match: *` is refused on what exists, and creates what does not", strict=True, hostile=True
    )
    account_wide_uids: bool = _manner(
        "A", "a UID is taken once in the whole account", strict=True, hostile=True
    )
    uid_conflict: str = _manner(
        "A",
        "what a taken UID gets: a bare 412, or a 403 with this element",
        strict="412",
        hostile="no-uid-conflict",
        choices=("412", "no-uid-conflict", "unique-scheduling-object-resource"),
    )
    end_required: bool = _manner("A", "an event needs DTEND or DURATION", strict=True, hostile=True)
    endless_status: int = _manner("B", "what an event without an end gets", strict=404, hostile=403)
    method_status: int = _manner("B", "what an object with a METHOD gets", strict=403, hostile=400)
    etag_on_put: bool = _manner("B", "the answer to a PUT has the new ETag", strict=True, hostile=False)
    zones_replaced: bool = _manner(
        "A", "a VTIMEZONE gives way to iCloud's own full definition", strict=True, hostile=True
    )
    own_address_rewritten: bool = _manner(
        "B",
        "the owner's address in ATTENDEE and ORGANIZER becomes their principal",
        strict=True,
        hostile=True,
    )
    odd_names_refused: bool = _manner(
        "D", "403 for a resource name other than letters, digits and hyphens", strict=False, hostile=True
    )
    delete_depth_refused: bool = _manner(
        "C", "400 for a DELETE with a Depth header", strict=False, hostile=True
    )
    weekly_needs_byday: bool = _manner(
        "C", "a weekly rule without BYDAY is dropped", strict=False, hostile=True
    )
    deleted_events_reappear: bool = _manner(
        "A-old",
        "a calendar made anew with an old id has its old events, once seen",
        strict=False,
        hostile=True,
    )
    shortest_calendar_id: int = _manner(
        "A", "MKCALENDAR refuses an id shorter than this; the real length is not known", strict=4, hostile=8
    )
    requests_a_minute: int = _manner(
        "B",
        "past so many an account is answered 503 (0: no limit; the real one is not known)",
        strict=0,
        hostile=0,
    )

    def with_flags(self, flags: Iterable[str]) -> "Manners":
        """`name` turns a manner on, `no-name` off, and `name=value` sets it; names in either spelling."""
        known = {each.name: each for each in manners()}
        values = {name: getattr(self, name) for name in known}
        for flag in flags:
            name, value = _read_flag(flag, known)
            values[name] = value
        return Manners(**values)


def manners() -> tuple["Field[Any]", ...]:
    """Every switch: its name, its default, and its metadata `grade`, `what`, `hostile` and `choices`."""
    return fields(Manners)


STRICT = Manners()
HOSTILE = Manners(**{each.name: each.metadata["hostile"] for each in manners()})
MODES = {"strict": STRICT, "hostile": HOSTILE}


def _read_flag(flag: str, known: "dict[str, Field[Any]]") -> tuple[str, object]:
    asked, equals, value = flag.partition("=")
    name = asked.replace("-", "_")
    off = name.removeprefix("no_")
    if not equals and name not in known and off in known:
        name, equals, value = off, "=", "off"
    if name not in known:
        raise ValueError(f"no manner is called {asked!r}; `python -m standin flags` lists them")
    return name, _read_value(known[name], value if equals else "on")


def _within(name: str, number: float) -> float:
    """Raises ValueError for what no answer could have, or none could wait for."""
    least, most = _limits(name)
    never = name.startswith("redirect_") and not number
    if not (never or least <= number <= most):
        raise ValueError(name)
    return number


def _limits(name: str) -> tuple[int, int]:
    if name.startswith("redirect_"):
        return 300, 399
    return (400, 599) if name.endswith("_status") else (0, 1_000_000)


def _range_of(manner: "Field[Any]") -> str:
    if isinstance(manner.default, bool):
        return "on or off"
    least, most = _limits(manner.name)
    never = "0 or " if manner.name.startswith("redirect_") else ""
    return f"{never}a number from {least} to {most}"


def _read_value(manner: "Field[Any]", text: str) -> object:
    name = manner.name.replace("_", "-")
    switched = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    try:
        match manner.default:
            case bool():
                return switched[text]
            case int() | float() if text == "on":
                return manner.metadata["hostile"]
            case int() | float():
                return _within(manner.name, type(manner.default)("0" if text == "off" else text))
    except (KeyError, ValueError):
        raise ValueError(f"{name} is {_range_of(manner)}, not {text!a}") from None
    choices = manner.metadata["choices"]
    if text == "on":
        return manner.metadata["hostile"]
    if text == "off":
        return manner.default
    if choices and text not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, not {text!a}")
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{name} goes into a header, and is printable ASCII, not {text!a}")
    return text
