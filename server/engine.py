"""Runs GraphQL operations: parsed, weighed and validated once a document, executed in a snapshot of their own."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import isawaitable
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute,
    parse,
    validate,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from domain.actor import Actor, Role
from resolvers.context import Context
from resolvers.feeds import Plain, Shares
from resolvers.kept import Kept
from resolvers.live import RefusedError
from schema import limits
from schema.errors import Code, error, refused
from schema.limits import Weight
from schema.operation import Operation
from server.faults import mended, of_validation
from server.plan import MOST_BOUND, Run, UnplannedError
from server.plans import Plans
from server.within import within

log = logging.getLogger(__name__)

QUERY_WITHIN = 10.0
# A connection to iCloud may need several answers from it.
MUTATION_WITHIN = 40.0
_MOST_DOCUMENTS = 512
_LONGEST_KEPT = 16 * 1024
_MOST_WEIGHTS = 64
_MOST_ERRORS = 10


@dataclass(frozen=True, slots=True)
class Request:
    """One operation as a client sends it."""

    query: str
    operation_name: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` is None, and `began` False, where nothing was executed: the request itself was wrong."""

    data: dict[str, Any] | None
    errors: tuple[GraphQLError, ...] = ()
    began: bool = True
    # The whole as JSON, where it was serialised once for many.
    encoded: bytes | None = None
    # How many root fields `encoded` answers.
    fields: int = 0

    @property
    def answered(self) -> int:
        """How many root fields there are in the data."""
        return self.fields if self.data is None else len(self.data)

    @property
    def codes(self) -> list[object]:
        """For a log: what was wrong, without what was sent."""
        return [problem.extensions["code"] for problem in self.errors if problem.extensions]

    @property
    def is_for_later(self) -> bool:
        """Whether some of it, or all, could not be had just now: the same can be asked again in a while."""
        return Code.UNAVAILABLE in self.codes

    def as_bytes(self) -> bytes:
        """As a body or a payload: what a transport sends, whole."""
        return orjson.dumps(self.as_json()) if self.encoded is None else self.encoded

    def as_json(self) -> dict[str, Any]:
        if self.encoded is not None:
            found: dict[str, Any] = orjson.loads(self.encoded)
            return found
        shown: dict[str, Any] = {}
        if self.errors:
            shown["errors"] = [error.formatted for error in self.errors]
        if self.began:
            shown["data"] = self.data
        return shown


@dataclass(slots=True)
class Prepared:
    """One request's. `run` is what its plan does for its variables, once that was looked for."""

    document: DocumentNode
    operation: OperationDefinitionNode
    plans: Plans
    run: Run | None = None

    @property
    def kind(self) -> OperationType:
        return self.operation.operation

    @property
    def name(self) -> str | None:
        return None if self.operation.name is None else self.operation.name.value


@dataclass(slots=True)
class _Known:
    """A document, and what was found out about it."""

    document: DocumentNode
    operations: Mapping[str, OperationDefinitionNode]
    paged_by: tuple[str, ...]
    weights: dict[tuple[object, ...], Weight] = field(default_factory=dict)
    problems: tuple[GraphQLError, ...] | None = None
    plans: dict[str, Plans] = field(default_factory=dict)


class Engine:
    def __init__(self, schema: GraphQLSchema, *, booking_introspection: bool) -> None:
        self._schema = schema
        self._booking_introspection = booking_introspection
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._runs: Kept[Run] = Kept(most=MOST_BOUND)
        self._told: Shares[Plain[Answer | asyncio.Future[Answer]]] = Shares()
        # How often graphql-core was asked for an answer, or for what an event is told as.
        self.executed = 0

    def prepare(self, request: Request, role: Role) -> Prepared | Answer:
        """What can be run, or what is wrong with it: the limits come first, for validation takes longer."""
        try:
            known = self._read(request.query)
            operation = _chosen(known, request.operation_name)
            weight = self._weigh(known, operation, request.variables)
        except GraphQLError as problem:
            return _refused(problem)
        if too_much := limits.refusal(weight) or self._hidden(weight, role):
            return _refused(too_much)
        if known.problems is None:
            found = validate(self._schema, known.document, max_errors=_MOST_ERRORS, hide_suggestions=True)
            known.problems = tuple(of_validation(problem) for problem in found)
        if known.problems:
            return _refused(*known.problems)
        name = "" if operation.name is None else operation.name.value
        if name not in known.plans:
            known.plans[name] = Plans(self._schema, known.document, operation, self._runs)
        return Prepared(known.document, operation, known.plans[name])

    async def execute(self, prepared: Prepared, request: Request, operation: Operation) -> Answer:
        """One query or mutation, from beginning to end; the operation's snapshot is let go."""
        is_query = prepared.kind is OperationType.QUERY
        try:
            if is_query:
                return await within(QUERY_WITHIN, self._ask(prepared, request, operation))
            return await within(MUTATION_WITHIN, self._execute(prepared, request, operation))
        except TimeoutError:
            late = error(Code.UNAVAILABLE, "This took too long: ask for less, or try again later.")
            return Answer(None, (late,))
        finally:
            if not operation.ctx.holds_nothing:
                await _close(operation)

    async def subscribe(
        self, prepared: Prepared, request: Request, operation: Operation
    ) -> AsyncGenerator[Answer, None]:
        """Each event's answer. An answer that never began is the last one: the subscription was refused, or broke.

        Whether it may be followed is asked for each subscriber; what an event is told as, once for all who follow
        with the same document, variables and access, and it is the same bytes for all of them.
        """
        try:
            events = await self._source(prepared, request, operation)
            if isinstance(events, ExecutionResult):
                yield _refused(*(events.errors or ()))
                return
            key = (prepared.plans, _told_by(prepared, request), access_of(operation.ctx.actor))
            with self._told.sharing(key, Plain) as told:
                async with aclosing(events):
                    async for event in events:
                        answer = told.of(
                            "answer",
                            event,
                            partial(self._begin_to_tell, prepared, request, operation.ctx, event),
                        )
                        # What is there at once costs each socket no more than this look.
                        yield answer if isinstance(answer, Answer) else await asyncio.shield(answer)
        except RefusedError as error:
            yield _refused(refused(error.refusal))
        except Exception as problem:  # noqa: BLE001 - whatever a source raises ends its subscription alone.
            yield refused_by(problem)
        finally:
            await _close(operation)

    async def _source(
        self, prepared: Prepared, request: Request, operation: Operation
    ) -> AsyncGenerator[object, None] | ExecutionResult:
        executor = StrawberryGraphQLCoreExecutionContext.build(
            self._schema,
            prepared.document,
            context_value=operation,
            raw_variable_values=dict(request.variables),
            operation_name=prepared.name,
            hide_suggestions=True,
            max_coercion_errors=_MOST_ERRORS,
            operation_extensions=None,
        )
        if isinstance(executor, list):
            return ExecutionResult(None, errors=executor)
        made = create_source_event_stream(executor)
        return await made if isawaitable(made) else made  # type: ignore[return-value]  # Ours are generators.

    def _begin_to_tell(
        self, prepared: Prepared, request: Request, ctx: Context, event: object
    ) -> Answer | asyncio.Future[Answer]:
        """One event as its subscribers get it, from a snapshot of its own: it is theirs, whoever came first.

        What reads nothing is there at once; what reads goes on though the one that came first leaves.
        """
        operation = Operation(Context(ctx.services, ctx.actor, address=ctx.address))
        made = self._begin(prepared, request, operation, event)
        return asyncio.ensure_future(_read(made, operation)) if isawaitable(made) else _encoded(_answer(made))

    async def _ask(self, prepared: Prepared, request: Request, operation: Operation) -> Answer:
        planned = await _planned(prepared, request, operation)
        return await self._execute(prepared, request, operation) if planned is None else planned

    async def _execute(self, prepared: Prepared, request: Request, operation: Operation) -> Answer:
        made = self._begin(prepared, request, operation)
        return _answer(await made if isawaitable(made) else made)

    def _begin(
        self, prepared: Prepared, request: Request, operation: Operation, event: object = None
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        self.executed += 1
        return execute(
            self._schema,
            prepared.document,
            root_value=event,
            context_value=operation,
            variable_values=dict(request.variables),
            operation_name=prepared.name,
            executor_class=StrawberryGraphQLCoreExecutionContext,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # A bool is all that is asked of it.
            hide_suggestions=True,
            max_coercion_errors=_MOST_ERRORS,
            operation_extensions=None,
        )

    def _read(self, text: str) -> _Known:
        known = self._known.get(text)
        if known is not None:
            self._known.move_to_end(text)
            return known
        known = _parsed(text)
        if len(text) <= _LONGEST_KEPT:
            self._known[text] = known
            if len(self._known) > _MOST_DOCUMENTS:
                self._known.popitem(last=False)
        return known

    def _weigh(
        self, known: _Known, operation: OperationDefinitionNode, variables: Mapping[str, object]
    ) -> Weight:
        sizes = tuple(
            size if isinstance(size := variables.get(name), int) else None for name in known.paged_by
        )
        key = (operation.name and operation.name.value, *sizes)
        if key not in known.weights:
            if len(known.weights) == _MOST_WEIGHTS:
                known.weights.clear()
            known.weights[key] = limits.weigh(self._schema, known.document, operation, variables)
        return known.weights[key]

    def _hidden(self, weight: Weight, role: Role) -> GraphQLError | None:
        if weight.asks_schema and role is Role.BOOKING and not self._booking_introspection:
            return error(Code.FORBIDDEN, "This key may not read the schema: use an ADMIN or OWNER key.")
        return None


def _parsed(text: str) -> _Known:
    try:
        document = parse(text, max_tokens=limits.TOKENS)
    except GraphQLSyntaxError as problem:
        if "Parsing aborted" not in problem.message:
            raise
        raise error(
            Code.TOO_COMPLEX,
            f"This document is too long or too deep: at most {limits.TOKENS:,} tokens, {limits.DEPTH} levels.",
        ) from None
    found: dict[str, OperationDefinitionNode] = {}
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            found["" if node.name is None else node.name.value] = node
    return _Known(document, found, limits.paged_by(document))


def _chosen(known: _Known, name: str | None) -> OperationDefinitionNode:
    if name:
        if name in known.operations:
            return known.operations[name]
        raise error(Code.BAD_REQUEST, "There is no operation of the name that operationName gives.")
    if len(known.operations) == 1:
        return next(iter(known.operations.values()))
    if not known.operations:
        raise error(Code.BAD_REQUEST, "This document holds no operation.")
    raise error(Code.BAD_REQUEST, "This document holds several operations: say which with operationName.")


def access_of(actor: Actor) -> tuple[str, Role, str | None]:
    """Those of whom it is the same may see the same."""
    return (actor.subaccount, actor.role, actor.user)


def _told_by(prepared: Prepared, request: Request) -> str:
    """The values that decide how an event is told: not those that only say what is followed, and from where."""
    names = prepared.plans.below_roots
    # One that is not given has its default; one given as null has none.
    return repr([(name, request.variables[name]) for name in names if name in request.variables])


async def _planned(prepared: Prepared, request: Request, operation: Operation) -> Answer | None:
    """None where graphql-core is to run it: what came of a plan until then is forgotten."""
    try:
        run = prepared.run
        if run is None:
            run = prepared.run = prepared.plans.run(request.variables)
        data, errors = await run(operation)
    except UnplannedError:
        operation.ctx.asks_once, operation.granted = False, 0
        return None
    if errors:
        return _answer(ExecutionResult(None if data is None else orjson.loads(data), list(errors)))
    return Answer(None, encoded=b'{"data":' + (data or b"null") + b"}", fields=len(run.parts))


async def _read(made: Awaitable[ExecutionResult], operation: Operation) -> Answer:
    try:
        return _encoded(_answer(await made))
    finally:
        await operation.ctx.renew()


def _encoded(answer: Answer) -> Answer:
    return replace(answer, encoded=answer.as_bytes())


def _answer(result: ExecutionResult) -> Answer:
    errors = tuple(mended(problem) for problem in result.errors or ())
    # Errors with no path and no data at all are of the request: its variables, mostly.
    began = result.data is not None or any(problem.path for problem in errors)
    return Answer(result.data, errors, began)


def _refused(*problems: GraphQLError) -> Answer:
    return Answer(None, tuple(mended(problem) for problem in problems), began=False)


def refused_by(problem: Exception) -> Answer:
    """Whatever was raised, as the answer of an operation that never began."""
    return _refused(
        problem if isinstance(problem, GraphQLError) else GraphQLError("", original_error=problem)
    )


async def _close(operation: Operation) -> None:
    try:
        await operation.ctx.close()
    except Exception:
        # What was answered stands: a booking is not lost because no one can note that its user is watched.
        log.warning("An operation did not end as it should.", exc_info=True)
