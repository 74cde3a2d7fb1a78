"""Runs of the machine that once failed, made small, as it printed them. Each is run by the suite."""

from __future__ import annotations

from collections.abc import Callable

from tests.machine.machine import Machine

Story = Callable[[Machine], None]


def an_old_text_without_an_etag(state: Machine) -> None:
    """It was taken for the state that had been listed, and stayed."""
    state.revoke()
    state.lying_answer(lies=["NOTHING_GIVEN"])
    state.lag(place=48, which=1)
    state.lying_answer(lies=["NOTHING_GIVEN", "NO_ETAGS", "NOTHING_GIVEN"])
    state.revoke()
    state.wait(seconds=10800)


def an_event_that_came_while_a_delta_left_half_out(state: Machine) -> None:
    """Only a night's comparison can find it."""
    state.lying_answer(lies=["NOTHING_GIVEN", "HALF"])
    state.drop_answer(does="both")


def an_old_text_where_the_listing_names_no_etag(state: Machine) -> None:
    """Found by the night's comparison."""
    state.revoke()
    state.lag(place=42, which=0)
    state.lying_answer(lies=["NO_TOKEN", "TWICE", "NO_ETAGS"])
    state.wait(seconds=301)
    state.renew()
    state.clock_jump(seconds=-61)


def an_event_that_is_given_after_its_deletion(state: Machine) -> None:
    """Told as gone, and kept while it is given: the night's comparison ends it."""
    state.lag(place=62, which=1)
    state.clock_jump(seconds=-61)
    state.wait(seconds=20)
    state.wait(seconds=1)
    state.iphone_delete(which=9)
    state.wait(seconds=61)
    state.wait(seconds=301)


def an_event_that_is_given_as_it_was_and_then_deleted(state: Machine) -> None:
    """Held without an ETag: the night's comparison ends it all the same."""
    state.lag(place=44, which=0)
    state.wait(seconds=1)
    state.clock_jump(seconds=-3600)
    state.lag(place=46, which=0)
    state.iphone_delete(which=5)
    state.clock_jump(seconds=3600)
    state.lag(place=34, which=10)
    state.iphone_delete(which=0)
    state.iphone_delete(which=0)
    state.wait(seconds=901)


def a_series_of_one_whose_one_date_was_deleted(state: Machine) -> None:
    state.iphone_delete_occurrence(number=3, which=2)
    state.iphone_this_and_future(number=2, place=4, which=8)


def a_write_that_was_sent_to_a_calendar_that_went(state: Machine) -> None:
    """The owner unlinks before anyone knows; it waits to be told another calendar."""
    state.book(halves=3, place=30)
    state.write()
    state.iphone_delete_calendar(which=0)
    state.reschedule(place=44, which=0)
    state.drop_answer(does="push")
    state.link(which=0)


def more_bookings_than_faults_take_to_heal(state: Machine) -> None:
    """Of one account, one is written after the other."""
    for place in range(0, 80, 2):
        state.book_page(place=place, uses_hold=False)


def an_event_that_was_not_given_while_another_lags(state: Machine) -> None:
    """Its old text is given in the end, and the other holds the token back."""
    state.lag(place=11, which=7)
    state.lag(place=58, which=11)
    state.drop_answer(does="poll")
    state.clock_jump(seconds=61)
    state.clock_jump(seconds=61)
    state.drop_answer(does="both")
    state.lag(place=34, which=5)


def one_that_was_cancelled_after_its_calendar_had_turned_read_only(state: Machine) -> None:
    """Sent there before, and not answered; then given up, and to be written to the calendar that is linked now."""
    state.book(halves=1, place=31)
    state.drop_answer(does="push")
    state.iphone_share(which=0)
    state.wait(seconds=61)
    state.write()
    state.sync()
    state.link(which=1)
    state.cancel(which=0)


def one_that_moved_away_from_a_calendar_that_takes_writes_again(state: Machine) -> None:
    """Its event there was left behind."""
    state.book(halves=1, place=31)
    state.write()
    state.sync()
    state.iphone_share(which=0)
    state.reschedule(which=0, place=35)
    state.write()
    state.sync()
    state.link(which=1)
    for _ in range(3):
        state.write()
        state.wait(seconds=61)


def one_that_was_cancelled_with_an_event_left_behind(state: Machine) -> None:
    one_that_moved_away_from_a_calendar_that_takes_writes_again(state)
    state.cancel(which=0)
    state.write()


def one_that_its_owner_deletes_while_its_calendar_is_out_of_the_choice(state: Machine) -> None:
    """It stood as written for good, in a calendar that is read again and does not have it."""
    state.book(halves=1, place=30)
    state.write()
    state.sync()
    state.link(which=0)
    state.choose(mask=0)
    state.iphone_delete_copy(which=0)
    state.wait(seconds=61)
    state.choose(mask=31)


STORIES: tuple[Story, ...] = (
    an_old_text_without_an_etag,
    an_event_that_came_while_a_delta_left_half_out,
    an_old_text_where_the_listing_names_no_etag,
    an_event_that_is_given_after_its_deletion,
    an_event_that_is_given_as_it_was_and_then_deleted,
    a_series_of_one_whose_one_date_was_deleted,
    a_write_that_was_sent_to_a_calendar_that_went,
    more_bookings_than_faults_take_to_heal,
    an_event_that_was_not_given_while_another_lags,
    one_that_was_cancelled_after_its_calendar_had_turned_read_only,
    one_that_moved_away_from_a_calendar_that_takes_writes_again,
    one_that_was_cancelled_with_an_event_left_behind,
    one_that_its_owner_deletes_while_its_calendar_is_out_of_the_choice,
)
