"""What may be typed in: numbers of an appointment type, slugs, guests and texts, each with what to do when it may not.

A check answers the clean value, or `Invalid` with the path of the field in the input.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

NAME_LENGTH = 200
EMAIL_LENGTH = 254  # RFC 5321 4.5.3.1.3: a path is 256 octets, its angle brackets among them.
PHONE_LENGTH = 50
NOTES_LENGTH = 5_000
SLUG_LENGTH = 80
KEY_LENGTHS = range(16, 201)
EARLIEST, LATEST = 0, 7_258_118_399  # 2199-12-31T23:59:59Z

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
# The shape alone: only a letter that arrives proves an address. No spaces, one @, a dotted host.
_EMAIL = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[^\s@<>,;:\"()\[\]\\.]+(\.[^\s@<>,;:\"()\[\]\\.]+)+")


@dataclass(frozen=True, slots=True)
class Invalid:
    """`field` is the path in the input, such as `guest.email`."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Guest:
    name: str
    email: str
    phone: str | None = None


# Of an appointment type: each number's range and what to call it.
_NUMBERS = {
    "durationMinutes": (1, 1440, "length in minutes"),
    "stepMinutes": (1, 1440, "step in minutes"),
    "bufferBeforeMinutes": (0, 720, "buffer before in minutes"),
    "bufferAfterMinutes": (0, 720, "buffer after in minutes"),
    "minimumNoticeMinutes": (0, 525_600, "minimum notice in minutes"),
    "horizonDays": (1, 400, "horizon in days"),
    "maximumPerDay": (1, 100, "maximum per day"),
}


def check_numbers(numbers: Mapping[str, int | None]) -> Invalid | None:
    """The first number of an appointment type, by its name in the input, that is out of its range. None is absent."""
    for field, number in numbers.items():
        low, high, words = _NUMBERS[field]
        if number is not None and not low <= number <= high:
            return Invalid(field, f"Give a {words} from {low} to {high}, not {number}.")
    return None


def check_instant(instant: int, *, field: str) -> Invalid | None:
    """Of time that is booked or blocked by hand: what lies within can be added to, shown and written."""
    if EARLIEST <= instant <= LATEST:
        return None
    return Invalid(field, "Give a time of the years 1970 to 2199.")


def check_slug(text: str) -> str | Invalid:
    if len(text) <= SLUG_LENGTH and _SLUG.fullmatch(text):
        return text
    return Invalid(
        "slug",
        f"Write the slug in small letters a to z, digits and single hyphens between them, at most {SLUG_LENGTH}.",
    )


def check_name(text: str, *, field: str = "name") -> str | Invalid:
    """A name or a title: one line, not empty."""
    name = clean_line(text)
    if not name:
        return Invalid(field, "Give a name: it is empty.")
    if len(name) > NAME_LENGTH:
        return Invalid(field, f"Shorten this to at most {NAME_LENGTH} characters.")
    return name


def check_email(text: str, *, field: str = "email") -> str | Invalid:
    email = clean_line(text)
    if len(email) > EMAIL_LENGTH:
        return Invalid(field, f"Give an e-mail address of at most {EMAIL_LENGTH} characters.")
    if not _EMAIL.fullmatch(email):
        return Invalid(field, "Give an e-mail address such as name@example.com.")
    return email


def check_phone(text: str | None, *, field: str = "phone") -> str | Invalid | None:
    phone = clean_line(text or "")
    if len(phone) > PHONE_LENGTH:
        return Invalid(field, f"Give a phone number of at most {PHONE_LENGTH} characters.")
    return phone or None


def check_notes(text: str | None, *, field: str = "notes") -> str | Invalid | None:
    notes = clean_text(text or "")
    if len(notes) > NOTES_LENGTH:
        return Invalid(field, f"Shorten this to at most {NOTES_LENGTH} characters.")
    return notes or None


def check_idempotency_key(text: str) -> str | Invalid:
    if len(text) not in KEY_LENGTHS or text != clean_line(text):
        return Invalid(
            "idempotencyKey", "Give 16 to 200 characters made anew for each booking, such as a UUID."
        )
    return text


def check_guest(name: str, email: str, phone: str | None) -> Guest | Invalid:
    checked_name = check_name(name, field="guest.name")
    if isinstance(checked_name, Invalid):
        return checked_name
    checked_email = check_email(email, field="guest.email")
    if isinstance(checked_email, Invalid):
        return checked_email
    checked_phone = check_phone(phone, field="guest.phone")
    if isinstance(checked_phone, Invalid):
        return checked_phone
    return Guest(checked_name, checked_email, checked_phone)


def clean_line(text: str) -> str:
    """One line: no control characters, no space around it. Line breaks and tabs become spaces."""
    return _without_controls(re.sub(r"[\t\n\r\v\f\x85\u2028\u2029]+", " ", text)).strip()


def clean_text(text: str) -> str:
    """Many lines: line feeds and tabs are the only control characters."""
    return _without_controls(re.sub(r"\r\n?|\x85|\u2028|\u2029", "\n", text), keep="\n\t").strip()


def _without_controls(text: str, *, keep: str = "") -> str:
    """Cc, and lone surrogates (Cs), which no database and no calendar can take."""
    return "".join(c for c in text if c in keep or unicodedata.category(c) not in {"Cc", "Cs"})
