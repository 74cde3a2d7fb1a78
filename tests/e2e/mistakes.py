"""Mistakes, one a case: a mutation that is refused, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from benchmarks.client import Json
from benchmarks.world import APPLE_ID, PASSWORD
from standin.seed import Owner
from tests.e2e.two_subaccounts import GUEST, NOBODY, PAGE, Facts, booking_at, later, text_of

PARIS = ZoneInfo("Europe/Paris")
HUGE = "x" * 20_000


@dataclass(frozen=True)
class Case:
    """A mutation that is refused. `field` is that of InvalidInput."""

    name: str
    mutation: str
    given: Callable[[Facts], Json]
    answer: str
    field: str | None = None
    who: str = "ours"


Given = Callable[[Facts], Json]


def _appointment(facts: Facts, **given: object) -> Json:
    return {
        "idempotencyKey": str(uuid4()),
        "userId": facts.user,
        "start": facts.open,
        "end": later(facts.open, minutes=30),
        "guest": GUEST,
        **given,
    }


def _night(facts: Facts) -> str:
    """Three in the morning of a day ahead, on every grid."""
    day = datetime.fromisoformat(facts.open).astimezone(PARIS)
    return text_of(day.replace(hour=3, minute=0))


def account_of(facts: Facts, **given: str) -> Json:
    return {"userId": facts.second, "appleId": APPLE_ID, "appSpecificPassword": PASSWORD, **given}


def connecting(name: str, answer: str, field: str | None = None, **given: str) -> Case:
    return Case(name, "connectICloud", lambda f: account_of(f, **given), answer, field)


def booking(name: str, answer: str, field: str | None = None, **given: object) -> Case:
    return Case(name, "bookAppointment", lambda f: booking_at(f.open, **given), answer, field, "guest")


def guest_with(name: str, field: str, text: str) -> Case:
    return booking(name, "InvalidInput", f"guest.{field}", guest={**GUEST, field: text})


def starting(name: str, start: Callable[[Facts], str]) -> Case:
    return Case(name, "bookAppointment", lambda f: booking_at(start(f)), "SlotUnavailable", who="guest")


def appointing(name: str, field: str, given: Given) -> Case:
    return Case(name, "createAppointment", lambda f: _appointment(f, **given(f)), "InvalidInput", field)


def linking(name: str, calendar: str) -> Case:
    def given(facts: Facts) -> Json:
        return {"userId": facts.user, "calendarId": facts.calendars[calendar]}

    return Case(name, "setLinkedCalendar", given, "CalendarNotSelectable")


def conflicting(name: str, calendar: str) -> Case:
    def given(facts: Facts) -> Json:
        return {"userId": facts.user, "calendarIds": [facts.calendars["Work"], facts.calendars[calendar]]}

    return Case(name, "setConflictCalendars", given, "CalendarNotSelectable")


def typing(name: str, answer: str, field: str | None, **given: object) -> Case:
    usual = {"name": "New", "slug": "new", "durationMinutes": 30}
    return Case(name, "createAppointmentType", lambda f: {"userId": f.user, **usual, **given}, answer, field)


def theirs(name: str, mutation: str, given: Given, *, who: str = "theirs") -> Case:
    return Case(name, mutation, given, "NotFound", who=who)


def someones(whose: str, user: Callable[[Facts], str]) -> list[Case]:
    """All that an ADMIN key can try with a user that is not its own."""
    return [
        theirs(f"{whose} to rename", "updateUser", lambda f: {"userId": user(f), "name": "X"}),
        theirs(f"{whose} to remove", "removeUser", lambda f: {"userId": user(f), "cancelUpcoming": True}),
        theirs(f"{whose} to disconnect", "disconnectICloud", lambda f: {"userId": user(f)}),
        theirs(f"{whose} to refresh", "refreshICloud", lambda f: {"userId": user(f)}),
        theirs(f"{whose} to connect", "connectICloud", lambda f: account_of(f, userId=user(f))),
        theirs(f"{whose} to book", "createAppointment", lambda f: _appointment(f, userId=user(f))),
        theirs(f"{whose} to block", "createBlockedSlot", lambda f: _slot(f, userId=user(f))),
        theirs(f"{whose} to give hours", "setWorkingHours", lambda f: {"userId": user(f), "weekly": []}),
        theirs(f"{whose} to link", "setLinkedCalendar", lambda f: {"userId": user(f), "calendarId": None}),
        theirs(
            f"{whose} to give a key",
            "createKey",
            lambda f: {"label": "K", "role": "OWNER", "userId": user(f)},
        ),
    ]


def managing(name: str, token: Callable[[Facts], str]) -> Case:
    return Case(name, "cancelBooking", lambda f: {"manageToken": token(f)}, "NotFound", who="guest")


def _slot(facts: Facts, **given: object) -> Json:
    return {"userId": facts.user, "start": facts.open, "end": later(facts.open, hours=1), **given}


def _move(facts: Facts, **given: object) -> Json:
    return {"idempotencyKey": str(uuid4()), "start": facts.open, **given}


APPLE = [
    connecting("a wrong password", "ICloudPasswordRefused", appSpecificPassword="wron-gpas-swor-dxyz"),
    connecting("the own password", "AppSpecificPasswordRequired", appSpecificPassword=Owner().main),
    connecting("no Apple ID", "InvalidInput", "appleId", appleId="  "),
    connecting("an Apple ID of two lines", "InvalidInput", "appleId", appleId="a@icloud.com\r\nX: y"),
    connecting("a huge password", "InvalidInput", "appSpecificPassword", appSpecificPassword=HUGE),
    Case(
        "a second connection",
        "connectICloud",
        lambda f: account_of(f, userId=f.user, appleId=Owner().alias),
        "AlreadyConnected",
    ),
    Case(
        "an account of another subaccount",
        "connectICloud",
        lambda f: account_of(f, userId=f.other.user_id),
        "ICloudAccountInUse",
        who="theirs",
    ),
    Case(
        "an alias of an account of another subaccount",
        "connectICloud",
        lambda f: account_of(f, userId=f.other.user_id, appleId=Owner().alias),
        "ICloudAccountInUse",
        who="theirs",
    ),
    Case("nothing to disconnect", "disconnectICloud", lambda f: {"userId": f.second}, "NotFound"),
    Case("nothing to refresh", "refreshICloud", lambda f: {"userId": f.second}, "NotFound"),
    Case(
        "nothing to renew",
        "renewICloudPassword",
        lambda f: {"userId": f.second, "appSpecificPassword": PASSWORD},
        "NotFound",
    ),
    Case(
        "renewing with the own password",
        "renewICloudPassword",
        lambda f: {"userId": f.user, "appSpecificPassword": Owner().main},
        "AppSpecificPasswordRequired",
    ),
]
CALENDARS = [
    linking("a read-only calendar to link", "Team"),
    linking("a subscribed calendar to link", "Public Holidays"),
    linking("a reminders list to link", "Reminders"),
    conflicting("a subscribed calendar for conflicts", "Public Holidays"),
    conflicting("a reminders list for conflicts", "Reminders"),
    Case(
        "no word on what to link",
        "setLinkedCalendar",
        lambda f: {"userId": f.user},
        "InvalidInput",
        "calendarId",
    ),
    Case(
        "another user's calendar",
        "setLinkedCalendar",
        lambda f: {"userId": f.second, "calendarId": f.calendars["Home"]},
        "NotFound",
    ),
    Case(
        "a rule that is null",
        "setBusyPolicy",
        lambda f: {"calendarId": f.calendars["Home"], "declined": None},
        "InvalidInput",
        "declined",
    ),
]
STARTS = [
    starting("a start that is taken", lambda f: f.taken),
    starting("a start that is past", lambda f: later(f.taken, days=-40)),
    starting("a start off the grid", lambda f: later(f.open, minutes=7)),
    starting("a start at night", _night),
    starting("a start in the year 1", lambda _: "0001-01-01T00:00:00Z"),
    starting("a start in the year 9999", lambda _: "9999-12-31T23:30:00Z"),
    Case(
        "a hold on what is taken",
        "holdSlot",
        lambda f: {"bookingPage": PAGE, "start": f.taken},
        "SlotUnavailable",
        who="guest",
    ),
    Case(
        "a move to the night",
        "rescheduleBooking",
        lambda f: _move(f, manageToken=f.token, start=_night(f)),
        "SlotUnavailable",
        who="guest",
    ),
    Case(
        "an appointment over another",
        "createAppointment",
        lambda f: _appointment(f, start=f.taken, end=later(f.taken, minutes=10)),
        "SlotUnavailable",
    ),
    appointing("an end before the start", "end", lambda f: {"end": later(f.open, minutes=-10)}),
    appointing("an appointment of a year", "end", lambda f: {"end": later(f.open, days=366)}),
    appointing("an appointment without an end", "end", lambda _: {"end": None}),
    appointing(
        "an appointment in the year 1",
        "start",
        lambda f: {"start": "0001-01-01T00:00:00Z", "end": None, "appointmentTypeId": f.ids["type"]},
    ),
    appointing(
        "an appointment in the year 9999",
        "start",
        lambda f: {"start": "9999-12-31T23:59:59Z", "end": None, "appointmentTypeId": f.ids["type"]},
    ),
    Case(
        "a move to the year 9999",
        "rescheduleAppointment",
        lambda f: _move(f, appointmentId=f.ids["appointment"], start="9999-12-31T23:59:59Z"),
        "InvalidInput",
        "start",
    ),
    Case("a block of no time", "createBlockedSlot", lambda f: _slot(f, end=f.open), "InvalidInput", "end"),
    Case(
        "a block of all time",
        "createBlockedSlot",
        lambda f: _slot(f, start="0001-01-01T00:00:00Z"),
        "InvalidInput",
        "start",
    ),
]
TEXTS = [
    booking("an idempotency key of 3", "InvalidInput", "idempotencyKey", idempotencyKey="abc"),
    booking("an idempotency key of 20,000", "InvalidInput", "idempotencyKey", idempotencyKey=HUGE),
    booking("a NUL in it", "InvalidInput", "idempotencyKey", idempotencyKey="0123456789abcdef\x00"),
    guest_with("no name", "name", " \u2028\t"),
    guest_with("a name of controls", "name", "\x00\x1b\x7f"),
    guest_with("a huge name", "name", HUGE),
    guest_with("an address without a host", "email", "grace"),
    guest_with("an address without a dot", "email", "a@b"),
    guest_with("an address of two lines", "email", "a@b.c\nBcc: d@e.f"),
    guest_with("a huge address", "email", "x" * 300 + "@example.com"),
    guest_with("a huge phone number", "phone", "1" * 51),
    booking("huge notes", "InvalidInput", "notes", notes=HUGE),
    Case(
        "a huge reason",
        "cancelBooking",
        lambda f: {"manageToken": f.token, "reason": HUGE},
        "InvalidInput",
        "reason",
        "guest",
    ),
    appointing("a huge title", "title", lambda _: {"title": HUGE}),
    Case(
        "an unknown zone",
        "createUser",
        lambda _: {"name": "Third", "timeZone": "Europe/Atlantis"},
        "InvalidInput",
        "timeZone",
    ),
    Case(
        "a zone that is a path",
        "updateUser",
        lambda f: {"userId": f.user, "timeZone": "../../etc/passwd"},
        "InvalidInput",
        "timeZone",
    ),
    Case(
        "a name that is null",
        "updateUser",
        lambda f: {"userId": f.user, "name": None},
        "InvalidInput",
        "name",
    ),
    Case(
        "hours that end before they start",
        "setWorkingHours",
        lambda f: {"userId": f.user, "weekly": [{"day": "MONDAY", "start": "17:00", "end": "09:00"}]},
        "InvalidInput",
        "weekly.0.end",
    ),
    Case(
        "hours of one date twice",
        "setWorkingHours",
        lambda f: {"userId": f.user, "weekly": [], "overrides": [{"date": "2026-12-24", "hours": []}] * 2},
        "InvalidInput",
        "overrides.1.date",
    ),
    typing("a slug that is taken", "SlugTaken", None, slug=PAGE),
    typing("a slug that is a path", "InvalidInput", "slug", slug="../admin"),
    typing("no minutes", "InvalidInput", "durationMinutes", durationMinutes=0),
    typing("minutes back", "InvalidInput", "durationMinutes", durationMinutes=-30),
    typing("the most minutes there are", "InvalidInput", "durationMinutes", durationMinutes=2_147_483_647),
    Case(
        "an origin with a path",
        "createKey",
        lambda _: {"label": "Page", "role": "BOOKING", "allowedOrigins": ["https://example.com/page"]},
        "InvalidInput",
        "allowedOrigins.0",
    ),
    Case(
        "an owner's key for nobody",
        "createKey",
        lambda _: {"label": "K", "role": "OWNER"},
        "InvalidInput",
        "userId",
    ),
    Case(
        "a user with appointments to come",
        "removeUser",
        lambda f: {"userId": f.user},
        "HasUpcomingAppointments",
    ),
]
FOREIGN = [
    *someones("another's user", lambda f: f.user),
    *someones("nobody", lambda _: NOBODY),
    *someones("garbage", lambda _: "\x00'; --"),
    theirs(
        "their calendar", "setBusyPolicy", lambda f: {"calendarId": f.ids["calendar"], "declined": "BLOCK"}
    ),
    theirs(
        "their calendar to link",
        "setLinkedCalendar",
        lambda f: {"userId": f.other.user_id, "calendarId": f.ids["calendar"]},
    ),
    theirs("their blocked slot", "deleteBlockedSlot", lambda f: {"blockedSlotId": f.ids["slot"]}),
    theirs("their appointment", "cancelAppointment", lambda f: {"appointmentId": f.ids["appointment"]}),
    theirs(
        "their appointment to move",
        "rescheduleAppointment",
        lambda f: _move(f, appointmentId=f.ids["appointment"]),
    ),
    theirs(
        "their type", "updateAppointmentType", lambda f: {"appointmentTypeId": f.ids["type"], "name": "X"}
    ),
    theirs("their type to archive", "archiveAppointmentType", lambda f: {"appointmentTypeId": f.ids["type"]}),
    theirs(
        "their type for a booking",
        "createAppointment",
        lambda f: _appointment(f, userId=f.other.user_id, appointmentTypeId=f.ids["type"]),
    ),
    theirs("their key", "revokeKey", lambda f: {"keyId": f.ids["key"]}),
    theirs("their booking", "cancelBooking", lambda f: {"manageToken": f.token}, who="their_guest"),
    theirs(
        "their booking to move",
        "rescheduleBooking",
        lambda f: _move(f, manageToken=f.token),
        who="their_guest",
    ),
    theirs(
        "their booking to hold for",
        "holdSlot",
        lambda f: {"bookingPage": PAGE, "start": f.open, "manageToken": f.token},
        who="their_guest",
    ),
    theirs(
        "an owner's other user", "updateUser", lambda f: {"userId": f.user, "name": "X"}, who="their_owner"
    ),
]
TOKENS = [
    *(
        managing(f"token {number}", lambda _, text=text: str(text))  # type: ignore[misc]  # Bound now.
        for number, text in enumerate(
            ("", "x", ".", "\x00", "01m5vj1jg0fjf9tdykgmttpyfb." + "0" * 32, "ä" * 500, HUGE)
        )
    ),
    managing("a token with its end cut", lambda f: f.token[:-1]),
    managing("a token with more after it", lambda f: f.token + "0"),
    booking("a page that there is not", "NotFound", bookingPage="nothing"),
    Case(
        "a page that is garbage",
        "holdSlot",
        lambda f: {"bookingPage": "\x00", "start": f.open},
        "NotFound",
        who="guest",
    ),
]
ROLES = [
    Case("a guest that appoints", "createAppointment", _appointment, "Forbidden", who="guest"),
    Case("a guest that refreshes", "refreshICloud", lambda f: {"userId": f.user}, "Forbidden", who="guest"),
    Case(
        "an owner that makes users",
        "createUser",
        lambda _: {"name": "X", "timeZone": "UTC"},
        "Forbidden",
        who="their_owner",
    ),
]
CASES = [*APPLE, *CALENDARS, *STARTS, *TEXTS, *FOREIGN, *TOKENS, *ROLES]
