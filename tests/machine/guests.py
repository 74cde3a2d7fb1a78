"""What guests and back ends do: hold, book, move, cancel; and what each answer must be true to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from resolvers import booking
from resolvers.outcomes import AvailabilityUnknown, RateLimited, Refusal, SlotUnavailable
from resolvers.views import BookingView, HoldView
from tests.integration.pages import GUEST, key_of
from tests.machine.life import Life, Told, instant

SLUG = "machine"
Answer = booking.Saved | BookingView | Refusal
Call = Callable[[], Awaitable[Answer]]


async def book(life: Life, place: int, halves: int) -> None:
    await _taken(life, book_call(life, place, halves))


def book_call(life: Life, place: int, halves: int) -> Call:
    key, start = life.key(), instant(place)
    return lambda: life.run(
        booking.create_appointment,
        idempotency_key=key,
        user_id=life.world.anna.user,
        type_id=None,
        start=start,
        end=start + 1800 * halves,
        title=None,
        guest=GUEST,
        notes=None,
    )


async def book_page(life: Life, place: int, *, uses_hold: bool) -> None:
    key, hold = life.key(), life.holds.pop() if uses_hold and life.holds else None
    await _taken(
        life,
        lambda: life.run(
            booking.book,
            actor=key_of(life.world),
            idempotency_key=key,
            page_slug=SLUG,
            start=instant(place),
            guest=GUEST,
            notes=None,
            hold_token=hold,
        ),
    )


async def hold(life: Life, place: int) -> None:
    answer = await life.insist(
        lambda: life.run(
            booking.hold,
            actor=key_of(life.world),
            page_slug=SLUG,
            start=instant(place),
            replaces=None,
            manage_token=None,
        )
    )
    if isinstance(answer, HoldView):
        life.holds.append(answer.token)


async def reschedule(life: Life, which: int, place: int) -> None:
    if (known := one(life, which)) is not None:
        # To where it is already is no move: it is asked nothing, whatever has come there since.
        with changing(known):
            await _taken(life, reschedule_call(life, known, place), is_new=known.view.start != instant(place))


@contextmanager
def changing(known: Told) -> Iterator[None]:
    known.is_changing = True
    try:
        yield
    finally:
        known.is_changing = False


def reschedule_call(life: Life, known: Told, place: int) -> Call:
    key = life.key()
    return lambda: life.run(
        booking.reschedule_booking,
        actor=key_of(life.world),
        idempotency_key=key,
        manage_token=known.view.manage_token,
        start=instant(place),
        hold_token=None,
    )


async def cancel(life: Life, which: int) -> None:
    if (known := one(life, which)) is None:
        return
    with changing(known):
        answer = await life.insist(
            lambda: life.run(
                booking.cancel_booking,
                actor=key_of(life.world),
                manage_token=known.view.manage_token,
                reason=None,
            )
        )
    assert isinstance(answer, BookingView), answer
    known.is_cancelled = True


def note(life: Life, answer: Answer) -> None:
    view = answer.booking if isinstance(answer, booking.Saved) else answer
    if isinstance(view, BookingView):
        life.told[view.id] = Told(view)
    else:
        assert isinstance(view, SlotUnavailable | AvailabilityUnknown | RateLimited), view


async def _taken(life: Life, call: Call, *, is_new: bool = True) -> None:
    """Asked until it is answered, and once more: one effect, the first answer; and never over what was known."""
    answer = await life.insist(call)
    note(life, answer)
    view = answer.booking if isinstance(answer, booking.Saved) else answer
    if not isinstance(view, BookingView):
        return
    again = await life.insist(call)
    seen = again.booking if isinstance(again, booking.Saved) else again
    assert isinstance(seen, BookingView), seen
    assert (seen.id, seen.start, seen.end) == (view.id, view.start, view.end)
    if is_new:
        await _overlaps_nothing(life, view)


async def _overlaps_nothing(life: Life, view: BookingView) -> None:
    others = [
        known.span
        for known in life.told.values()
        if known.view.id != view.id and not (known.is_cancelled or known.is_changing)
    ]
    assert not [span for span in others if span[0] < view.end and view.start < span[1]], "booked twice"
    blocked = await life.rows(
        "SELECT starts, ends FROM blocked_slot WHERE starts < $1 AND ends > $2", view.end, view.start
    )
    assert not blocked, "booked over what was known to be busy"


def one(life: Life, which: int) -> Told | None:
    live = [known for known in life.told.values() if not known.is_cancelled]
    return live[which % len(live)] if live else None
