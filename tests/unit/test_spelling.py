"""How one resource is known in all its spellings, and two are told apart."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.paths import path_key
from sync.remote import ETag, Gone, Href, Listed, RemoteChange
from sync.spelling import as_held, beginning, is_odd, spelled_anew

HOME = "/1/calendars/home/"
OCTETS = st.lists(
    st.sampled_from([*b"ab@~+,;=&!$'()*: %/-._", 0xC3, 0xA9, 0xFF, 0xFE]), min_size=1, max_size=8
)
V1 = ETag('"1"')


@st.composite
def spellings(draw: st.DrawFn, octets: list[int]) -> Href:
    """Each octet as it is, where a path may have it, or escaped in either case."""
    spelled = []
    for octet in octets:
        ways = [f"%{octet:02X}", f"%{octet:02x}"]
        if octet in b"@~+,;=&!$'()*:":
            ways.append(chr(octet))
        spelled.append(chr(octet) if octet in b"ab-._" else draw(st.sampled_from(ways)))
    return Href(f"{HOME}{''.join(spelled)}.ics")


@given(st.data())
def test_all_spellings_are_one_resource_and_the_one_that_is_held_stays(data: st.DataObject) -> None:
    octets = data.draw(OCTETS)
    one, other = data.draw(spellings(octets)), data.draw(spellings(octets))
    assert as_held([Listed(other, V1)], [one]) == (Listed(one, V1),)
    assert as_held([Gone(other)], [one]) == (Gone(one),)
    assert one.startswith(beginning([other]))


@given(st.data())
def test_other_octets_are_another_resource(data: st.DataObject) -> None:
    octets, others = data.draw(OCTETS), data.draw(OCTETS)
    one, other = data.draw(spellings(octets)), data.draw(spellings(others))
    assert (as_held([Listed(other, V1)], [one]) == (Listed(one, V1),)) == (octets == others)


@given(
    st.lists(
        st.text(st.characters(codec="ascii"), max_size=6).map(lambda name: Href(HOME + quote(name))),
        min_size=1,
    )
)
def test_whatever_is_spelled_anew_begins_as_all_do(hrefs: list[Href]) -> None:
    assert all(href.startswith(beginning(hrefs)) for href in hrefs)


ESCAPED, PLAIN = Href("/c/a%40b.ics"), Href("/c/a@b.ics")


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ([Listed(ESCAPED, V1), Gone(ESCAPED)], Gone(ESCAPED)),
        ([Gone(ESCAPED), Listed(ESCAPED, V1)], Listed(ESCAPED, V1)),
        ([Gone(ESCAPED), Listed(PLAIN, V1)], Listed(ESCAPED, V1)),
        ([Gone(ESCAPED), Gone(PLAIN)], Gone(ESCAPED)),
    ],
)
def test_the_last_word_of_each_counts(changes: list[RemoteChange], counts: RemoteChange) -> None:
    assert as_held(changes, []) == (counts,)


def test_what_is_there_in_one_spelling_is_not_gone_in_another() -> None:
    changes: list[RemoteChange] = [Listed(ESCAPED, V1), Gone(PLAIN)]
    assert as_held(changes, []) == (Listed(ESCAPED, V1),)
    assert as_held(changes, [PLAIN]) == (Listed(PLAIN, V1),)
    assert as_held([*changes, Gone(PLAIN)], [PLAIN]) == (Listed(PLAIN, V1),)


@pytest.mark.parametrize(
    ("one", "other"), [("a%2Fb", "a/b"), ("%FF", "%FE"), ("a%20b", "a+b"), ("A%40", "a%40")]
)
def test_what_only_looks_alike_is_two(one: str, other: str) -> None:
    assert path_key(f"/c/{one}.ics") != path_key(f"/c/{other}.ics")


def test_names_that_nobody_escapes_are_left_as_they_are() -> None:
    plain = [Listed(Href(f"{HOME}A-{number}_x.ics"), V1) for number in range(3)]
    assert as_held(plain, []) == tuple(plain)
    assert not is_odd(plain[0].href)


def test_of_two_that_are_held_the_one_that_is_listed_stays() -> None:
    listed = [Listed(Href("/c/a@b.ics"), V1)]
    assert spelled_anew([Href("/c/a%40b.ics"), Href("/c/x%40y.ics")], listed) == {"/c/a%40b.ics"}
