"""The stand-in takes and refuses writes as iCloud does."""

import pytest

from standin.manners import Manners
from tests.contracts.standin_http import APPLE_ID, event, ics, served


async def test_a_new_event_is_created_and_an_edited_one_replaced() -> None:
    async with served() as dav:
        created = await dav.put("home/a.ics", event(), If_None_Match="*")
        replaced = await dav.put(
            "home/a.ics", event("one", "SUMMARY:x"), If_Match=created.header("etag") or ""
        )
    assert (created.status, replaced.status) == (201, 204)
    assert None not in (created.header("etag"), replaced.header("etag"))
    assert created.header("etag") != replaced.header("etag")


async def test_creating_what_exists_is_refused() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        assert (await dav.put("home/a.ics", event(), If_None_Match="*")).status == 412


async def test_a_stale_etag_is_refused_and_changes_nothing() -> None:
    async with served() as dav:
        stale = (await dav.put("home/a.ics", event())).header("etag") or ""
        now = await dav.put("home/a.ics", event("one", "SUMMARY:now"))
        edited = await dav.put("home/a.ics", event("one", "SUMMARY:late"), If_Match=stale)
        deleted = await dav.call("DELETE", f"{dav.home}home/a.ics", headers={"If-Match": stale})
        held = await dav.call("GET", f"{dav.home}home/a.ics")
    assert (edited.status, deleted.status) == (412, 412)
    assert held.header("etag") == now.header("etag")
    assert "SUMMARY:now" in held.text


async def test_if_match_any_works_backwards() -> None:
    async with served() as dav:
        created = await dav.put("home/a.ics", event(), If_Match="*")
        refused = await dav.put("home/a.ics", event(), If_Match="*")
    assert (created.status, refused.status) == (201, 412)


async def test_if_match_any_can_be_as_the_rfc_has_it() -> None:
    async with served(manners=Manners(any_match_backwards=False)) as dav:
        missing = await dav.put("home/a.ics", event(), If_Match="*")
        await dav.put("home/a.ics", event())
        existing = await dav.put("home/a.ics", event(), If_Match="*")
    assert (missing.status, existing.status) == (412, 204)


async def test_a_deleted_event_is_gone_at_once() -> None:
    async with served() as dav:
        etag = (await dav.put("home/a.ics", event())).header("etag") or ""
        at = f"{dav.home}home/a.ics"
        deleted = await dav.call("DELETE", at, headers={"If-Match": etag})
        read, again = await dav.call("GET", at), await dav.call("DELETE", at)
    assert (deleted.status, read.status, again.status) == (204, 404, 404)


@pytest.mark.parametrize("path", ["home/b.ics", "work/a.ics"])
async def test_a_uid_is_taken_once_in_the_whole_account(path: str) -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("same"))
        refused = await dav.put(path, event("same"), If_None_Match="*")
        await dav.call("DELETE", f"{dav.home}home/a.ics")
        freed = await dav.put(path, event("same"), If_None_Match="*")
    assert (refused.status, freed.status) == (412, 201)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (event(end=None), 404),
        (event("one", "DURATION:PT1H", end=None), 201),
        (ics("METHOD:REQUEST", *event().splitlines()[3:-1]), 403),
        (ics("BEGIN:VTODO", "UID:t", "DTSTAMP:20261101T000000Z", "END:VTODO"), 403),
        (ics("BEGIN:VJOURNAL", "UID:j", "DTSTAMP:20261101T000000Z", "END:VJOURNAL"), 403),
        (event().replace("END:VCALENDAR", "") + event("two").partition("PRODID:-//test//EN\r\n")[2], 403),
        ("<html>no calendar</html>", 400),
        ("", 400),
    ],
    ids=["no-end", "duration", "method", "task", "journal", "two-uids", "html", "empty"],
)
async def test_a_body_is_judged_as_icloud_judges_it(text: str, status: int) -> None:
    async with served() as dav:
        assert (await dav.put("home/a.ics", text)).status == status


@pytest.mark.parametrize("calendar", ["f" * 64, "holidays", "inbox", "notification"])
async def test_what_the_owner_may_not_write_to_is_forbidden(calendar: str) -> None:
    async with served() as dav:
        assert (await dav.put(f"{calendar}/a.ics", event())).status == 403


async def test_events_stay_out_of_reminders_and_unknown_calendars() -> None:
    async with served() as dav:
        assert (await dav.put("tasks/a.ics", event())).status == 403
        assert (await dav.put("nowhere/a.ics", event())).status == 404


async def test_a_calendar_made_read_only_refuses_and_shows_it() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        dav.icloud.faults(APPLE_ID).read_only("Home")
        refused = await dav.put("home/b.ics", event("two"))
        kept = await dav.call("DELETE", f"{dav.home}home/a.ics")
        privileges = (await dav.listing()).prop(f"{dav.home}home/", "d:current-user-privilege-set")
    assert (refused.status, kept.status) == (403, 403)
    assert privileges is not None
    assert privileges.find("{DAV:}privilege/{DAV:}write") is None


async def test_a_guest_in_a_put_is_a_mail_sent() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        none = dav.icloud.faults(APPLE_ID).mails
        await dav.put(
            "home/b.ics", event("two", "ORGANIZER:mailto:a@x.example", "ATTENDEE:mailto:b@x.example")
        )
        assert (none, dav.icloud.faults(APPLE_ID).mails) == (0, 1)


async def test_mkcalendar_makes_a_calendar_that_takes_events() -> None:
    props = "<prop><displayname>New &amp; own</displayname></prop>"
    xmlns = 'xmlns="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'
    body = f"<c:mkcalendar {xmlns}><set>{props}</set></c:mkcalendar>"
    async with served() as dav:
        made = await dav.call("MKCALENDAR", f"{dav.home}new-one/", body)
        again = await dav.call("MKCALENDAR", f"{dav.home}new-one/", body)
        put = await dav.put("new-one/a.ics", event())
        name = (await dav.listing()).prop(f"{dav.home}new-one/", "d:displayname")
    assert (made.status, again.status, put.status) == (201, 405, 201)
    assert name is not None
    assert name.text == "New & own"


async def test_a_deleted_calendar_frees_its_uids_and_its_id() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event("same"))
        await dav.icloud.faults(APPLE_ID).delete_calendar("home")
        gone = await dav.sync("home")
        moved = await dav.put("work/a.ics", event("same"))
        made = await dav.call("MKCALENDAR", f"{dav.home}home/")
        fresh = await dav.sync("home")
    assert (gone.status, moved.status, made.status) == (404, 201, 201)
    assert fresh.hrefs == []


async def test_a_move_is_refused() -> None:
    async with served() as dav:
        await dav.put("home/a.ics", event())
        headers = {"Destination": f"{dav.icloud.entry_url}{dav.home}work/a.ics"}
        assert (await dav.call("MOVE", f"{dav.home}home/a.ics", headers=headers)).status == 412


async def test_no_put_etag_is_a_switch() -> None:
    async with served(manners=Manners(etag_on_put=False)) as dav:
        put = await dav.put("home/a.ics", event())
        found = await dav.find(f"{dav.home}home/a.ics", "<d:getetag/>")
    assert put.header("etag") is None
    assert found.prop(f"{dav.home}home/a.ics", "d:getetag") is not None
