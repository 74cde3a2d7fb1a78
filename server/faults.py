"""What of an error a client is told: its own mistakes without the values it sent, our faults without a detail."""

from __future__ import annotations

import logging
import re

from graphql import GraphQLError

from models.unavailable import is_unavailable
from schema.errors import Code, error

log = logging.getLogger(__name__)

_CODES = frozenset(map(str, Code))
# graphql-core quotes the value that it refuses, and the value may be a password. Its place and its type stay.
_QUOTED = re.compile(
    r"(?:,? ?(?:found|Found|but got): .*"
    r"|(?<= value)(?<!invalid value)(?<!invalid default value): .*"
    r"|(?<=(?:found|ected) )(?P<kind>[A-Z][a-z]+[A-Za-z]*) ['\"].*)",
    re.DOTALL,
)
_NOT_IN_ENUM = re.compile(r"Value '.*' (?=does not exist in )", re.DOTALL)
# A misspelt name is told; not what can be no name, or is written as Apple's app-specific passwords are.
_NO_NAME = re.compile(
    r"(?<=unknown field) '(?!(?![a-z]{16}')[A-Za-z_][A-Za-z0-9_]{0,63}'\Z).*'\Z", re.DOTALL | re.ASCII
)


def mended(problem: GraphQLError) -> GraphQLError:
    """The error as a client may see it, with one of our codes."""
    if problem.extensions and problem.extensions.get("code") in _CODES:
        return problem
    cause = _cause(problem)
    if cause is None:
        return _located(problem, error(Code.BAD_REQUEST, without_values(problem.message)))
    tell("An operation failed", cause)
    if is_unavailable(cause):
        return _located(
            problem, error(Code.UNAVAILABLE, "This can't be answered right now: try again in a minute.")
        )
    return _located(problem, error(Code.INTERNAL, "Something went wrong on our side: try again later."))


def tell(what: str, cause: BaseException) -> None:
    """In the log. Where the database is away each request meets it, and where says nothing."""
    if is_unavailable(cause):
        log.error("%s: %s: %s", what, type(cause).__name__, cause)
    else:
        log.error("%s: %s", what, type(cause).__name__, exc_info=cause)


def of_validation(problem: GraphQLError) -> GraphQLError:
    """What validation finds is the request's own mistake, also where a scalar broke on what stands in the document."""
    if _cause(problem) is None:
        return mended(problem)
    return _located(problem, error(Code.BAD_REQUEST, "This document gives a value that its type can't hold."))


def without_values(message: str) -> str:
    left = _QUOTED.sub(lambda found: found["kind"] or "", _NOT_IN_ENUM.sub("This value ", message))
    return _NO_NAME.sub("", left.rstrip(" :,.;")) + "."


def _cause(problem: GraphQLError) -> BaseException | None:
    """What of ours broke; None where the request itself is wrong."""
    original = problem.original_error
    while isinstance(original, GraphQLError):
        original = original.original_error
    if original is not None:
        return original
    # graphql-core's own complaints of what a resolver gave have a path; of what a client gave only those of arguments.
    if problem.path and not problem.message.startswith(("Argument", "Variable")):
        return problem
    return None


def _located(problem: GraphQLError, told: GraphQLError) -> GraphQLError:
    return GraphQLError(
        told.message,
        problem.nodes,
        problem.source,
        problem.positions,
        problem.path,
        extensions=told.extensions,
    )
