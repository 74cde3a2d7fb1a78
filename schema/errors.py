"""Errors of the protocol: what no result union can say, each with its code."""

from enum import StrEnum
from typing import TypeVar

from graphql import GraphQLError

from resolvers import outcomes
from resolvers.outcomes import Refusal
from schema.scalars import format_date_time

T = TypeVar("T")


class Code(StrEnum):
    """All that `extensions.code` can be."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    BAD_REQUEST = "BAD_REQUEST"
    TOO_COMPLEX = "TOO_COMPLEX"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    RATE_LIMITED = "RATE_LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL = "INTERNAL"


def error(code: Code, message: str, **extensions: object) -> GraphQLError:
    return GraphQLError(message, extensions={"code": str(code), **extensions})


def refused(refusal: Refusal) -> GraphQLError:
    """The refusal where the answer's type has no room for it: in a list, or in a subscription."""
    match refusal:
        case outcomes.InvalidInput(message, field):
            return error(Code.BAD_REQUEST, message, field=field)
        case outcomes.NotFound(message):
            return error(Code.NOT_FOUND, message)
        case outcomes.Forbidden(message):
            return error(Code.FORBIDDEN, message)
        case outcomes.RateLimited(message, retry_at):
            return error(Code.RATE_LIMITED, message, retryAt=format_date_time(float(retry_at)))
        case _:
            return error(Code.UNAVAILABLE, refusal.message)


def granted(answer: T | Refusal) -> T:
    """The answer; raises its refusal."""
    if isinstance(answer, Refusal):
        raise refused(answer)
    return answer
