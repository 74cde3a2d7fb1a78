"""A `calendar-data` that asks for part of an object: named components and properties, or occurrences in a span."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from standin.event_text import as_text
from standin.ics import unfolded
from standin.markup import Element, c, d
from standin.occurrences import Span


@dataclass(frozen=True, slots=True)
class Part:
    """Properties by the component that they are asked of; a span to expand to."""

    properties: Mapping[str, frozenset[str]] | None
    span: Span | None

    @classmethod
    def asked_by(cls, root: Element) -> "Part":
        asked = root.find(f"{d('prop')}/{c('calendar-data')}")
        if asked is None:
            return cls(None, None)
        expand = asked.find(c("expand"))
        span = None if expand is None else Span.read(expand.get("start", ""), expand.get("end", ""))
        components = {
            comp.get("name", "").upper(): frozenset(
                prop.get("name", "").upper() for prop in comp.findall(c("prop"))
            )
            for comp in asked.iter(c("comp"))
        }
        return cls(components or None, span)

    def of(self, text: str) -> str:
        return text if self.properties is None else as_text(_kept(text, self.properties))


WHOLE = Part(None, None)


def _kept(text: str, properties: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """VTIMEZONE goes, whatever is asked; `allprop` and `allcomp` are not looked at, and give next to nothing."""
    inside: list[str] = []
    for line in unfolded(text):
        kind, _, name = line.partition(":")
        if kind == "BEGIN":
            inside.append(name.upper())
        if all(component in properties for component in inside):
            asked = properties[inside[-1]] if inside else frozenset()
            if kind in {"BEGIN", "END"} or kind.partition(";")[0].upper() in asked:
                yield line
        if kind == "END":
            del inside[-1:]
