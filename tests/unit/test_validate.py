"""What may be typed in, at the edges of each limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.validate import (
    Guest,
    Invalid,
    check_email,
    check_guest,
    check_idempotency_key,
    check_name,
    check_notes,
    check_numbers,
    check_phone,
    check_slug,
    clean_line,
    clean_text,
)

RANGES = {
    "durationMinutes": (1, 1440),
    "stepMinutes": (1, 1440),
    "bufferBeforeMinutes": (0, 720),
    "bufferAfterMinutes": (0, 720),
    "minimumNoticeMinutes": (0, 525_600),
    "horizonDays": (1, 400),
    "maximumPerDay": (1, 100),
}


@pytest.mark.parametrize("field", RANGES)
def test_each_number_may_be_from_its_least_to_its_most(field: str) -> None:
    low, high = RANGES[field]
    assert check_numbers({field: low}) is None
    assert check_numbers({field: high}) is None
    for number in (low - 1, high + 1):
        refused = check_numbers({field: number})
        assert isinstance(refused, Invalid)
        assert (refused.field, str(number) in refused.message) == (field, True)


def test_an_absent_number_is_not_asked_and_the_first_wrong_one_is_named() -> None:
    assert check_numbers({"stepMinutes": None}) is None
    refused = check_numbers({"durationMinutes": 30, "stepMinutes": 0, "horizonDays": 0})
    assert refused == Invalid("stepMinutes", "Give a step in minutes from 1 to 1440, not 0.")


@pytest.mark.parametrize("slug", ["a", "intro-call", "30-minutes", "a" * 80])
def test_a_slug_is_words_between_single_hyphens(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug", ["", "-a", "a-", "a--b", "A", "é", "a b", "a_b", "a\n", "a" * 81, "a/b", "٣"]
)
def test_what_is_no_slug_is_refused(slug: str) -> None:
    assert isinstance(check_slug(slug), Invalid)


@pytest.mark.parametrize("email", ["a@b.co", "ann.lee+x@sub.example.com", "jörg@müller.example", " a@b.co "])
def test_an_address_is_taken_by_its_shape(email: str) -> None:
    assert check_email(email) == email.strip()


@pytest.mark.parametrize(
    "email",
    [
        "",
        "a",
        "a@",
        "@b.co",
        "a@b",
        "a@@b.co",
        "a b@c.de",
        "a@b..co",
        "a@.co",
        "a@b.co.",
        "a@b.co,c@d.ef",
        "<a@b.co>",
    ],
)
def test_what_is_no_address_is_refused(email: str) -> None:
    assert isinstance(check_email(email), Invalid)


def test_an_address_has_at_most_254_characters() -> None:
    longest = "a@" + "b" * 249 + ".co"
    assert check_email(longest) == longest
    assert isinstance(check_email("a" + longest), Invalid)


def test_a_long_line_of_dots_is_refused_at_once() -> None:
    assert isinstance(check_email("a@" + "b." * 126), Invalid)


def test_a_name_is_one_line_of_1_to_200_characters() -> None:
    assert check_name(" Ann\r\n\x00Lee\x7f ") == "Ann Lee"
    assert check_name("a" * 200) == "a" * 200
    for text in ("", "  ", "\x00\x1b", "a" * 201):
        assert isinstance(check_name(text), Invalid)


def test_a_phone_may_be_left_out() -> None:
    assert check_phone(None) is None
    assert check_phone(" ") is None
    assert check_phone("+33 1 23 45 67 89") == "+33 1 23 45 67 89"
    assert isinstance(check_phone("1" * 51), Invalid)


def test_notes_keep_line_feeds_and_tabs_and_no_other_control() -> None:
    assert check_notes("one\r\ntwo\tthree\x00\x1b\rfour") == "one\ntwo\tthree\nfour"
    assert check_notes("") is None
    assert check_notes("a" * 5000) == "a" * 5000
    assert isinstance(check_notes("a" * 5001), Invalid)


@pytest.mark.parametrize(("length", "fine"), [(15, False), (16, True), (200, True), (201, False)])
def test_an_idempotency_key_has_16_to_200_characters(length: int, *, fine: bool) -> None:
    assert (check_idempotency_key("k" * length) == "k" * length) == fine


def test_an_idempotency_key_is_never_altered() -> None:
    assert isinstance(check_idempotency_key("k" * 16 + "\x00"), Invalid)
    assert isinstance(check_idempotency_key(" " * 16), Invalid)


@pytest.mark.parametrize(
    ("name", "email", "phone", "field"),
    [
        ("", "a@b.co", None, "guest.name"),
        ("Ann", "nowhere", None, "guest.email"),
        ("Ann", "a@b.co", "1" * 51, "guest.phone"),
    ],
)
def test_a_guest_is_refused_by_the_path_of_its_field(
    name: str, email: str, phone: str | None, field: str
) -> None:
    refused = check_guest(name, email, phone)
    assert isinstance(refused, Invalid)
    assert refused.field == field


def test_a_guest_comes_back_clean() -> None:
    assert check_guest(" Ann ", "a@b.co", "") == Guest("Ann", "a@b.co", None)


@given(st.text())
def test_clean_text_can_be_stored_anywhere_and_is_clean_already(text: str) -> None:
    for clean in (clean_line, clean_text):
        once = clean(text)
        assert clean(once) == once
        assert "\x00" not in once
        once.encode()


def test_a_lone_surrogate_is_dropped() -> None:
    assert clean_text("a\ud800b") == "ab"
