"""The plans of one operation: one for each way its directives can come out, made when it is asked a second time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import orjson
from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.values import VariableValues

from resolvers.kept import Kept
from server.plan import Plan, Run, UnplannedError, coerced, plan

_MOST = 16


class Plans:
    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        runs: Kept[Run],
    ) -> None:
        self._schema = schema
        self._document = document
        self._operation = operation
        self._runs = runs
        self._is_hot = False
        self._switches: tuple[str, ...] | None = None
        # None where it is graphql-core's to run.
        self._plans: dict[tuple[object, ...], Plan | None] = {}

    @cached_property
    def below_roots(self) -> tuple[str, ...]:
        """The variables used anywhere but in the arguments of root fields."""
        return tuple(sorted(_variables(*self._below_roots())))

    def _below_roots(self) -> Iterator[Node]:
        for definition in self._document.definitions:
            if definition is not self._operation:
                yield definition
        yield from self._operation.directives or ()
        for selection in self._operation.selection_set.selections:
            if not isinstance(selection, FieldNode):
                yield selection
                continue
            yield from selection.directives or ()
            if selection.selection_set is not None:
                yield selection.selection_set

    def run(self, variables: Mapping[str, Any]) -> Run:
        """What is to be run for these variables. Raises UnplannedError."""
        if not self._is_hot:
            self._is_hot = True
            raise UnplannedError
        if self._switches is None:
            self._switches = _switches(self._document)
        switched = tuple(variables.get(name, _ABSENT) for name in self._switches)
        if not all(isinstance(value, bool) or value is _ABSENT for value in switched):
            raise UnplannedError  # Not a Boolean: graphql-core says so.
        if switched not in self._plans:
            if len(self._plans) >= _MOST:
                raise UnplannedError
            self._plans[switched] = self._made(variables)
        found = self._plans[switched]
        if found is None:
            raise UnplannedError
        return found.run(_key(variables), lambda: coerced(self._schema, self._operation, variables))

    def _made(self, variables: Mapping[str, Any]) -> Plan | None:
        values: VariableValues = coerced(self._schema, self._operation, variables)
        try:
            return plan(self._schema, self._document, self._operation, values, self._runs)
        except UnplannedError:
            return None


_ABSENT = object()


def _key(variables: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(variables)
    except TypeError:
        raise UnplannedError from None


def _variables(*nodes: Node) -> set[str]:
    found: set[str] = set()

    class Finder(Visitor):
        def enter_variable(self, node: VariableNode, *_: object) -> None:
            found.add(node.name.value)

    for node in nodes:
        visit(node, Finder())
    return found


def _switches(document: DocumentNode) -> tuple[str, ...]:
    """The variables that @include and @skip go by."""
    directives: list[DirectiveNode] = []

    class Finder(Visitor):
        def enter_directive(self, node: DirectiveNode, *_: object) -> None:
            directives.append(node)

    visit(document, Finder())
    return tuple(sorted(_variables(*directives)))
