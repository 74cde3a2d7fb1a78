"""Documents made up from the schema: valid ones mostly, with all that a selection can have in it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
)


@dataclass(frozen=True)
class Document:
    text: str
    variables: dict[str, Any]


@dataclass
class Maker:
    """`calls` are the root fields with their arguments; `nested` are the arguments of fields below the root."""

    schema: GraphQLSchema
    chance: random.Random
    calls: Sequence[str]
    nested: Mapping[str, str]
    _fragments: list[str] = field(default_factory=list)

    def document(self) -> Document:
        self._fragments = []
        query = self.schema.query_type
        assert query is not None
        roots = []
        for number in range(self.chance.choice([1, 1, 1, 2, 3])):
            call = self.chance.choice(self.calls)
            kind = get_named_type(query.fields[call.partition("(")[0]].type)
            roots.append(f"r{number}: {call}{self._switch()} {self._set(kind, 4)}")
        if self.chance.random() < 0.3:
            roots.insert(self.chance.randrange(len(roots) + 1), "__typename")
        text = f"query Q($yes: Boolean!, $no: Boolean = false) {{ k: __typename @skip(if: $no) {' '.join(roots)} }}"
        variables: dict[str, Any] = {"yes": self.chance.random() < 0.7}
        if self.chance.random() < 0.5:
            variables["no"] = self.chance.random() < 0.5
        return Document("\n".join([text + (" #" if "$yes" in text else ""), *self._fragments]), variables)

    def _set(self, kind: GraphQLNamedType, depth: int) -> str:
        parts = [self._one(kind, depth) for _ in range(self.chance.randrange(1, 6))]
        return (
            "{ " + " ".join(["__typename" if self.chance.random() < 0.5 else "t: __typename", *parts]) + " }"
        )

    def _one(self, kind: GraphQLNamedType, depth: int) -> str:
        if isinstance(kind, GraphQLUnionType) or (
            isinstance(kind, GraphQLInterfaceType) and self.chance.random() < 0.7
        ):
            within = self.chance.choice(list(self.schema.get_possible_types(kind)))
            return self._fragment(within, depth)
        if self.chance.random() < 0.15:
            return self._fragment(kind, depth)
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        return self._field(kind, self.chance.choice(list(kind.fields.items())), depth)

    def _field(self, kind: GraphQLNamedType, found: tuple[str, GraphQLField], depth: int) -> str:
        name, definition = found
        needed = [
            arg for arg, it in definition.args.items() if it.type.__class__.__name__ == "GraphQLNonNull"
        ]
        given = self.nested.get(f"{kind.name}.{name}")
        if needed and given is None:
            return "__typename"
        # One alias a field and place: two of one name would have to agree.
        alias = f"a{self.chance.randrange(1_000_000)}: " if self.chance.random() < 0.1 else ""
        within = get_named_type(definition.type)
        if is_composite_type(within):
            if depth == 0:
                return "__typename"
            return f"{alias}{name}{given or ''}{self._switch()} {self._set(within, depth - 1)}"
        return f"{alias}{name}{given or ''}{self._switch()}"

    def _fragment(self, kind: GraphQLNamedType, depth: int) -> str:
        if depth == 0:
            return "__typename"
        if self.chance.random() < 0.5:
            return f"... on {kind.name}{self._switch()} {self._set(kind, depth - 1)}"
        text = self._set(kind, depth - 1)
        name = f"F{len(self._fragments)}"
        self._fragments.append(f"fragment {name} on {kind.name} {text}")
        return f"...{name}{self._switch()}"

    def _switch(self) -> str:
        if self.chance.random() < 0.8:
            return ""
        return self.chance.choice(
            [
                " @include(if: $yes)",
                " @skip(if: $yes)",
                " @skip(if: $no)",
                " @include(if: true)",
                " @skip(if: true)",
            ]
        )
