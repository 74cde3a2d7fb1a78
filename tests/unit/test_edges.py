"""Sets of instants, against Python's own sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.edges import (
    Edges,
    clip,
    complement,
    intersect,
    meets,
    merge,
    pairs,
    replace,
    run_start,
    subtract,
    unite,
)

instants = st.integers(-20, 20)
edge_lists = st.lists(st.tuples(instants, instants), max_size=6).map(merge)


def _held(edges: Edges) -> set[int]:
    return {instant for start, end in pairs(edges) for instant in range(start, end)}


@given(st.lists(st.tuples(instants, instants)))
def test_merging_keeps_every_instant_and_leaves_no_two_spans_touching(spans: list[tuple[int, int]]) -> None:
    edges = merge(spans)
    assert _held(edges) == {instant for start, end in spans for instant in range(start, end)}
    assert edges == sorted(set(edges))


@given(edge_lists, edge_lists)
def test_sweeps_do_what_sets_do(one: Edges, other: Edges) -> None:
    assert _held(intersect(one, other)) == _held(one) & _held(other)
    assert _held(subtract(one, other)) == _held(one) - _held(other)
    assert _held(unite([one, other])) == _held(one) | _held(other)


@given(edge_lists, edge_lists)
def test_sweeps_give_edges_again(one: Edges, other: Edges) -> None:
    for edges in (intersect(one, other), subtract(one, other), unite([one, other]), complement(one, -9, 9)):
        assert edges == sorted(set(edges))
        assert len(edges) % 2 == 0


@given(edge_lists, instants, instants)
def test_a_part_and_what_it_lacks_make_the_whole(edges: Edges, start: int, end: int) -> None:
    assert _held(clip(edges, start, end)) == _held(edges) & set(range(start, end))
    assert _held(complement(edges, start, end)) == set(range(start, end)) - _held(edges)


@given(edge_lists, instants, instants)
def test_a_span_meets_a_set_when_they_share_an_instant(edges: Edges, start: int, end: int) -> None:
    assert meets(edges, start, end) == bool(_held(edges) & set(range(start, end)))


@given(edge_lists, edge_lists, instants, instants)
def test_what_is_replaced_is_what_lies_inside(edges: Edges, other: Edges, one: int, two: int) -> None:
    start, end = sorted((one, two))
    found = replace(edges, start, end, clip(other, start, end))
    inside = set(range(start, end))
    assert _held(found) == (_held(edges) - inside) | (_held(other) & inside)
    assert found == sorted(set(found))


slots = st.dictionaries(st.integers(0, 9), st.tuples(instants, instants).map(sorted).map(tuple), max_size=9)


@given(slots, slots)
def test_a_merged_set_brought_up_to_date_where_slots_changed_is_the_one_merged_anew(
    before: dict[int, tuple[int, int]], now: dict[int, tuple[int, int]]
) -> None:
    """By no slot but those that meet what changed, and start no sooner than the closed time it lies in."""
    changed = [slot for slot in before.keys() | now.keys() if before.get(slot) != now.get(slot)]
    edges = merge(before.values())
    for start, end in pairs(merge(of[slot] for of in (before, now) for slot in changed if slot in of)):
        since = run_start(edges, start)
        near = [it for it in now.values() if since <= it[0] < end and it[1] > start]
        edges = replace(edges, start, end, clip(merge(near), start, end))
    assert edges == merge(now.values())
