"""The names of our events in iCloud lead back to their appointments, and no other name does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.copies import appointment_of, next_uid, uid_of
from domain.ids import Kind, new_id

OWN = "apt_00000000000000000000000001"


@given(st.floats(0, 2e9), st.binary(min_size=10, max_size=10), st.integers(0, 99))
def test_every_attempts_name_leads_back(now: float, entropy: bytes, attempts: int) -> None:
    own = new_id(Kind.APPOINTMENT, now=now, entropy=entropy)
    uid = uid_of(own)
    for _ in range(attempts):
        uid = next_uid(uid, own)
    assert appointment_of(uid) == own
    assert uid == uid_of(own, attempt=attempts)


@pytest.mark.parametrize(
    "uid",
    [
        "",
        "slotwire-",
        "slotwire-theirs",
        uid_of(OWN) + "-",
        uid_of(OWN) + "-x",
        uid_of(OWN) + "-1-2",
        uid_of(OWN) + "\n",
        "x" + uid_of(OWN),
        uid_of(OWN).upper(),
        uid_of(OWN)[:-1] + "u",  # No letter of an id.
        "slotwire-" + "z" * 26,
        uid_of(OWN) + "-" + "1" * 500,
    ],
)
def test_other_names_are_other_peoples(uid: str) -> None:
    assert appointment_of(uid) is None
