"""Sets of instants, against Python's own sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.edges import Edges, clip, complement, intersect, meets, merge, pairs, subtract, unite

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
