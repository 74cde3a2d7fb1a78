"""What the owner can do on their phone, by name: for the command line and for the admin API alike."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter
from zoneinfo import ZoneInfo

from standin.arguments import Range
from standin.owner import Phone

ZONE = "Europe/Berlin"
_YEARS = Range(1000, 9998)


@dataclass(frozen=True, slots=True)
class Told:
    """What was said to an action, as texts by name; absent ones have a default."""

    texts: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        found = self.texts.get(name, default)
        if found is None:
            raise ValueError(f"say {name}")
        return found

    def number(self, name: str) -> int:
        text = self.text(name, "0")
        if not (text.isascii() and text.isdecimal() and len(text) < 7):
            raise ValueError(f"{name} is a whole number from 0 on, not {text!a}")
        return int(text)

    def flag(self, name: str, default: str = "no") -> bool:
        text = self.text(name, default)
        if text not in {"yes", "no"}:
            raise ValueError(f"{name} is yes or no, not {text!a}")
        return text == "yes"

    def moment(self, name: str) -> date | datetime:
        """A date makes an all-day event; a time is local to `zone` unless it carries an offset."""
        text = self.text(name)
        try:
            moment = datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{name} is {MEANINGS['start']}, not {text!a}") from None
        # Four digits have no room for others, nor the calendar for the next year's zone.
        if not _YEARS.least <= moment.year <= _YEARS.most:
            raise ValueError(f"{name} is in a year {_YEARS}, not {text!a}")
        if not isinstance(moment, datetime):
            return moment
        zone = self.text("zone", ZONE)
        if moment.tzinfo is not None or zone == "floating":
            return moment
        try:
            return moment.replace(tzinfo=ZoneInfo(zone))
        except (LookupError, ValueError, OSError):
            raise ValueError(f"zone is a time zone's name, as {ZONE}, or floating; not {zone!a}") from None

    def span(self) -> tuple[date | datetime, date | datetime]:
        """As a device makes them: whole days or times, and no end before the start."""
        start, end = self.moment("start"), self.moment("end")
        is_timed = isinstance(start, datetime)
        if is_timed != isinstance(end, datetime):
            raise ValueError("start and end are both days, or both times")
        try:
            is_ordered = start <= end if is_timed else start < end
        except TypeError:
            raise ValueError("start and end both have an offset, or both float") from None
        if not is_ordered:
            raise ValueError("end is not before start, and of whole days the day after the last")
        return start, end


@dataclass(frozen=True, slots=True)
class Action:
    """`needs` and `takes` name what is said; the answer is a text for people, or nothing."""

    what: str
    run: Callable[[Phone, Told], Awaitable[str | None]]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


MEANINGS: Mapping[str, str] = {
    "calendar": "the calendar's name",
    "path": "the object's path, as `add` and `list` print it",
    "title": "the title",
    "start": "2026-11-21T10:00, or 2026-11-21 for all day",
    "end": "as --start; of an all-day event, the day after the last",
    "occurrence": "where the series has the occurrence, in its zone, as --start",
    "zone": f"of times without an offset (default {ZONE}); `floating` for none",
    "free": "yes: shown as free, blocks nothing",
    "rule": "an RRULE, as FREQ=WEEKLY;BYDAY=MO",
    "travel": "minutes of travel time before it",
    "email": "an address",
    "name": "the new name",
    "color": "#RRGGBBAA",
}


async def _add(phone: Phone, told: Told) -> str:
    return await phone.add(
        told.text("calendar", "Home"),
        told.text("title"),
        *told.span(),
        free=told.flag("free"),
        rule=told.text("rule", ""),
        travel=timedelta(minutes=told.number("travel")),
    )


async def _list(phone: Phone, told: Told) -> str:
    seen = sorted(await phone.events(told.text("calendar", "Home")), key=attrgetter("start"))
    return "\n".join(f"{each.start}  {each.end}  {each.title}  {each.path}" for each in seen)


async def _move(phone: Phone, told: Told) -> None:
    await phone.move(told.text("path"), *told.span())


async def _override(phone: Phone, told: Told) -> None:
    await phone.override(told.text("path"), told.moment("occurrence"), *told.span())


async def _future(phone: Phone, told: Told) -> str:
    return await phone.this_and_future(told.text("path"), told.moment("occurrence"), *told.span())


async def _leave_out(phone: Phone, told: Told) -> None:
    await phone.leave_out(told.text("path"), told.moment("occurrence"))


async def _travel(phone: Phone, told: Told) -> None:
    await phone.travel(told.text("path"), told.number("travel"))


async def _free(phone: Phone, told: Told) -> None:
    await phone.free(told.text("path"), free=told.flag("free", "yes"))


async def _delete(phone: Phone, told: Told) -> None:
    await phone.delete(told.text("path"))


async def _retitle(phone: Phone, told: Told) -> None:
    await phone.rename(told.text("path"), told.text("title"))


async def _cancel(phone: Phone, told: Told) -> None:
    await phone.cancel(told.text("path"))


async def _decline(phone: Phone, told: Told) -> None:
    await phone.decline(told.text("path"), told.text("email"))


async def _make_calendar(phone: Phone, told: Told) -> str:
    return await phone.make_calendar(told.text("name"), color=told.text("color", "#1BADF8FF"))


async def _rename_calendar(phone: Phone, told: Told) -> None:
    await phone.rename_calendar(told.text("calendar"), told.text("name"))


async def _recolour(phone: Phone, told: Told) -> None:
    await phone.recolour(told.text("calendar"), told.text("color"))


async def _share(phone: Phone, told: Told) -> None:
    await phone.share(told.text("calendar"), told.text("email"))


async def _unshare(phone: Phone, told: Told) -> None:
    await phone.unshare(told.text("calendar"), told.text("email"))


async def _delete_calendar(phone: Phone, told: Told) -> None:
    await phone.delete_calendar(told.text("calendar"))


_SPAN = ("start", "end")
ACTIONS: Mapping[str, Action] = {
    "add": Action(
        "add an event, and print its path",
        _add,
        ("title", *_SPAN),
        ("calendar", "zone", "free", "rule", "travel"),
    ),
    "list": Action("list a calendar's events", _list, (), ("calendar",)),
    "move": Action("move an event, or a whole series", _move, ("path", *_SPAN), ("zone",)),
    "move-one": Action(
        "move one occurrence of a series", _override, ("path", "occurrence", *_SPAN), ("zone",)
    ),
    "move-future": Action(
        "move an occurrence and all that follow; prints the path of the series that goes on",
        _future,
        ("path", "occurrence", *_SPAN),
        ("zone",),
    ),
    "delete-one": Action("delete one occurrence", _leave_out, ("path", "occurrence"), ("zone",)),
    "delete": Action("delete the event at a path", _delete, ("path",)),
    "retitle": Action("give an event another title", _retitle, ("path", "title")),
    "travel": Action("set the travel time; 0 takes it away", _travel, ("path", "travel")),
    "free": Action("show an event as free, or not", _free, ("path",), ("free",)),
    "cancel": Action("cancel an event", _cancel, ("path",)),
    "decline": Action("decline an invitation", _decline, ("path", "email")),
    "make-calendar": Action("make a calendar, and print its path", _make_calendar, ("name",), ("color",)),
    "rename-calendar": Action("rename a calendar", _rename_calendar, ("calendar", "name")),
    "recolour-calendar": Action("give a calendar another colour", _recolour, ("calendar", "color")),
    "share-calendar": Action("share a calendar with somebody", _share, ("calendar", "email")),
    "unshare-calendar": Action("share it no more", _unshare, ("calendar", "email")),
    "delete-calendar": Action("delete a calendar and all in it", _delete_calendar, ("calendar",)),
}


async def act(phone: Phone, action: str, told: Mapping[str, str]) -> str | None:
    """Names and values as on the command line."""
    if action not in ACTIONS:
        raise LookupError(f"the phone can't {action!r}; it can {', '.join(ACTIONS)}")
    known = ACTIONS[action]
    odd = [name for name in told if name not in {*known.needs, *known.takes}]
    if odd:
        raise ValueError(
            f"{action} takes no {', '.join(odd)}; it takes {', '.join((*known.needs, *known.takes))}"
        )
    missing = [name for name in known.needs if name not in told]
    if missing:
        raise ValueError(f"{action} must be told {', '.join(missing)}")
    return await known.run(phone, Told(told))
