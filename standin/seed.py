"""One lived-in owner for the demo: six calendars around today, the same from the same (seed, today, zone)."""

import random
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from standin.catalog import Account, CalendarFacts, Kind
from standin.cloud import Cloud
from standin.event_text import Guest
from standin.lived import Story, told

_TEAM = "9f2c6a1be07d4f58a3c1d2e4f60718293a4b5c6d7e8f90112233445566778899"  # A shared calendar's id has 64 characters.
_TASKS = "A3F1C7E2-52B8-4E0C-9B7B-6B0E3B7A41D5"
_HOLIDAYS = "C0B8D0D4-0F5E-4B0B-8C57-2F6E1A9C7B30"
_FAMILY = "4D24D1CF-D573-4130-BFB7-F9E0B616E6FE"
CALENDARS = (
    CalendarFacts(id="home", name="Home", color="#1BADF8FF", order=1),
    CalendarFacts(id="work", name="Work", color="#63DA38FF", order=2),
    CalendarFacts(id=_FAMILY, name="Family", color="#FF9500FF", order=3, kind=Kind.SHARED_OUT),
    CalendarFacts(id=_TEAM, name="Team", color="#CC73E1FF", order=4, kind=Kind.SHARED, writable=False),
    # Its privileges say it can be written: only its type says that it cannot.
    CalendarFacts(
        id=_HOLIDAYS,
        name="Public Holidays",
        color=None,
        order=5,
        kind=Kind.SUBSCRIBED,
        source="webcal://calendars.example/holidays.ics",
    ),
    CalendarFacts(id=_TASKS, name="Reminders", color="#A2845EFF", order=6, kind=Kind.REMINDERS),
)
_IDS = {"home": "home", "work": "work", "family": _FAMILY, "team": _TEAM, "reminders": _TASKS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who signs in as the demo's owner. They exist in the stand-in alone."""

    apple_id: str = "alex.morgan@icloud.com"
    alias: str = "alex@morgan.example"
    app_specific: str = "kfwq-tzmb-hxne-ydpa"
    main: str = "Lighthouse-1984"
    full_name: str = "Alex Morgan"
    dsid: str = "111222333"


def seed_owner(cloud: Cloud, *, today: date, zone: str, seed: int = 1) -> bool:
    """Whether anything was added: an owner who is there already is left as they are."""
    owner = Owner()
    if cloud.by_dsid(owner.dsid) is not None:
        return False
    account = Account(
        apple_id=owner.apple_id,
        dsid=owner.dsid,
        full_name=owner.full_name,
        aliases=(owner.alias,),
        main_password=owner.main,
    )
    story = Story(
        chances=random.Random(seed),  # noqa: S311 - a story, not a secret.
        today=today,
        zone=ZoneInfo(zone),
        owner=Guest(owner.full_name, owner.apple_id, is_owner=True),
        principal=account.principal,
    )
    chapters = told(story)
    member = cloud.add_account(account, [owner.app_specific])
    calendars = {facts.id: cloud.add_calendar(member, facts) for facts in CALENDARS}
    for chapter, texts in chapters.items():
        cloud.load(calendars[_IDS[chapter]], texts)
    return True
