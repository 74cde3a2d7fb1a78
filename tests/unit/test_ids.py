"""Ids that are derived: the same for the same parts, apart for others, and well-formed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import Family, Kind, derived_id, is_id, renamed

words = st.text(max_size=30)


@given(words, words, words)
def test_a_familys_members_begin_alike_and_differ(of: str, one: str, other: str) -> None:
    family = Family(Kind.EVENT, of)
    mine, yours = family.member(one), family.member(other)
    assert mine[:17] == yours[:17]
    assert (mine == yours) == (one == other)
    assert is_id(mine, Kind.EVENT)


@given(words, words, words)
def test_families_begin_apart(one: str, other: str, member: str) -> None:
    mine, yours = Family(Kind.EVENT, one).member(member), Family(Kind.EVENT, other).member(member)
    assert (mine[:17] == yours[:17]) == (one == other)


def test_a_derived_id_stays_what_it_was() -> None:
    assert derived_id(Kind.RESOURCE, "cal_1", "/a/b.ics") == "res_2gcs5p1y88gqm8f5d5n1s87gmd"
    assert Family(Kind.EVENT, "cal_1", "uid", "").member("20261101") == "evt_12ake8nazxha0v4e6y2vg7j3a3"


def test_a_renamed_id_is_one_of_the_other_kind() -> None:
    name = derived_id(Kind.EVENT, "x")
    assert renamed(name, Kind.BLOCKED_SLOT) == f"blk_{name[4:]}"
    assert is_id(renamed(name, Kind.BLOCKED_SLOT), Kind.BLOCKED_SLOT)
