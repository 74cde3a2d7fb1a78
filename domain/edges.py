"""Sets of instants as edges: a flat, strictly increasing list, in at each even place and out at each odd one.

Spans that touch are one here, so a stretch of time is in a set exactly when it lies between one pair of edges.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TypeVar

from domain.interval import Span

Edges = list[int]
E = TypeVar("E", list[int], "array[int]")


def merge(spans: Iterable[tuple[int, int]]) -> Edges:
    """The instants of any spans, in any order; empty ones hold none."""
    edges: Edges = []
    for start, end in sorted(spans, key=itemgetter(0)):  # Twice as fast as by the whole spans.
        if end <= start:
            continue
        if not edges or start > edges[-1]:
            edges += (start, end)
        elif end > edges[-1]:
            edges[-1] = end
    return edges


def clip(edges: E, start: int, end: int) -> E:
    """What of a set lies in `[start, end)`: two bisections and a slice. Of an array an array: nothing is unpacked."""
    if end <= start:
        return edges[:0]
    first, last = bisect_right(edges, start), bisect_left(edges, end)
    clipped = edges[first:last]
    if first & 1:  # An odd number of edges up to here: inside a span.
        clipped.insert(0, start)
    if last & 1:
        clipped.append(end)
    return clipped


def extend(edges: E, later: E) -> None:
    """By a set wholly after it: where they touch they are one."""
    if edges and later and edges[-1] == later[0]:
        edges.pop()
        later = later[1:]
    edges += later


def replace(edges: E, start: int, end: int, inside: E) -> E:
    """The set with what of it lies in `[start, end)` replaced by `inside`, which lies there."""
    first, last = bisect_left(edges, start), bisect_right(edges, end)
    whole, after = edges[:first], edges[last:]
    if first & 1:
        whole.append(start)
    if last & 1:
        after.insert(0, end)
    for part in (inside, after):
        extend(whole, part)
    return whole


def run_start(edges: Sequence[int], at: int) -> int:
    """Where the span begins that holds an instant, or ends with it; the instant itself where there is none."""
    place = bisect_left(edges, at)
    return edges[place - 1] if place & 1 else at


def meets(edges: Sequence[int], start: int, end: int) -> bool:
    first = bisect_right(edges, start)
    return start < end and (first & 1 == 1 or first < bisect_left(edges, end))


def complement(edges: E, start: int, end: int) -> E:
    """What of `[start, end)` is not in the set."""
    if end <= start:
        return edges[:0]
    outside = clip(edges, start, end)
    if outside and outside[0] == start:
        del outside[0]
    else:
        outside.insert(0, start)
    if outside[-1] == end:
        del outside[-1]
    else:
        outside.append(end)
    return outside


def intersect(one: Edges, other: Edges) -> Edges:
    """Clips the longer by each span of the shorter: the Python loop runs over the shorter only."""
    few, many = (one, other) if len(one) <= len(other) else (other, one)
    both: Edges = []
    for start, end in pairs(few):
        both += clip(many, start, end)
    return both


def subtract(edges: Edges, holes: Edges) -> Edges:
    if not edges or not holes:
        return edges
    return intersect(edges, complement(holes, edges[0], edges[-1]))


def unite(sets: Iterable[Edges]) -> Edges:
    return merge(span for edges in sets for span in pairs(edges))


def pairs(edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    walk = iter(edges)
    return zip(walk, walk, strict=True)


def spans(edges: Edges) -> list[Span]:
    return [Span(start, end) for start, end in pairs(edges)]
