"""How inputs are read: absent fields, nulls and instants, as the use cases take them."""

from typing import Annotated, TypeVar

import strawberry
from strawberry.types.unset import UnsetType

from resolvers.context import Secret  # type: ignore[attr-defined]  # Through resolvers: tables stay unknown here.
from resolvers.inputs import UNSET, Absent
from schema.scalars import DateTime

T = TypeVar("T")

Input = Annotated[
    T,
    strawberry.argument(
        name="input", description="What to do, and to whom or what; its type says each part."
    ),
]
"""The one argument of every mutation."""


def given(value: T | UnsetType | None) -> T | None:
    """An absent field, read as null."""
    return None if isinstance(value, UnsetType) else value


def change(value: T | UnsetType) -> T | Absent:
    """A field of an update: absent leaves things as they are."""
    return UNSET if isinstance(value, UnsetType) else value


def instant(value: DateTime) -> int:
    return int(value)


def otherwise(value: T | None, default: T) -> T:
    """A null where the schema has a default."""
    return default if value is None else value


def secret(text: str) -> Secret:
    """Wrapped at the door: from here on it shows in no repr, log or traceback."""
    return Secret(text)
