"""What was said to a call of the admin API, held against the call's own signature before anything is done."""

import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from typing import Any, Literal

# Nothing that XML, a header or a line of the log could not hold: it would fail later, in a client's request.
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_KINDS: Mapping[object, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Range:
    """What a number may be, both ends included."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"from {self.least:.12g} to {self.most:.12g}"


@dataclass(frozen=True, slots=True)
class Form:
    """What a text may be, as a pattern and in words."""

    pattern: str
    words: str


def arguments_for(
    call: Callable[..., object], said: Mapping[str, object], *, spelled: Callable[[str], str] = str
) -> dict[str, Any]:
    """`said` as the call's keyword arguments; raises ValueError that names the field and what it takes.

    `spelled` gives a parameter's name as the API has it.
    """
    parameters = inspect.signature(call).parameters
    hints = typing.get_type_hints(call.__init__ if inspect.isclass(call) else call, include_extras=True)
    names = {spelled(name): name for name in parameters}
    takes = f"it takes {', '.join(names) or 'nothing'}"
    if odd := [name for name in said if name not in names]:
        raise ValueError(f"there is no {', '.join(odd)}; {takes}")
    missing = [
        name for name, own in names.items() if parameters[own].default is inspect.Parameter.empty
        and name not in said
    ]  # fmt: skip
    if missing:
        raise ValueError(f"{', '.join(missing)} must be said; {takes}")
    return {names[name]: _value(name, value, hints[names[name]]) for name, value in said.items()}


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _value(name: str, value: object, kind: Any) -> object:
    """`value` as the annotation `kind` has it."""
    if typing.get_origin(kind) is typing.Annotated:
        bare, *limits = typing.get_args(kind)
        found = _value(name, value, bare)
        for limit in limits:
            _require(name, found, limit)
        return found
    options = _options(kind)
    for option in options:
        if _is(value, _bare(option)):
            return _filled(name, value, option) if option is _bare(option) else _value(name, value, option)
    raise ValueError(f"{name} must be {' or '.join(map(_in_words, options))}, not {_told(value)}")


def _options(kind: Any) -> Sequence[Any]:
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return typing.get_args(kind)
    return (kind,)


def _bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _is(value: object, kind: Any) -> bool:
    if typing.get_origin(kind) is Literal:
        return value in typing.get_args(kind)
    if typing.get_origin(kind) in {Sequence, Iterable}:
        return isinstance(value, list)
    if typing.get_origin(kind) is Mapping or is_dataclass(kind):
        return isinstance(value, dict)
    if isinstance(value, bool):  # Which Python counts among the whole numbers.
        return kind is bool
    if kind is float:
        return isinstance(value, int | float)
    if issubclass(kind, StrEnum):
        return value in list(kind)
    return isinstance(value, kind)


def _filled(name: str, value: Any, kind: Any) -> object:
    """What holds others, with each of them looked at; a text, looked through; the rest as it is."""
    if typing.get_origin(kind) in {Sequence, Iterable}:
        (each,) = typing.get_args(kind)
        return [_value(f"{name}[{number}]", one, each) for number, one in enumerate(value)]
    if typing.get_origin(kind) is Mapping:
        _, each = typing.get_args(kind)
        return {key: _value(f"{name}[{key!r}]", one, each) for key, one in value.items()}
    if is_dataclass(kind):
        assert isinstance(kind, type)
        return kind(**arguments_for(kind, value))
    if inspect.isclass(kind) and issubclass(kind, StrEnum):
        return kind(value)
    if isinstance(value, str) and (found := _UNSPEAKABLE.search(value)):
        raise ValueError(f"{name} holds {found[0]!a}, which no text here can")
    return value


def _require(name: str, value: object, limit: object) -> None:
    match limit, value:
        case Range(), int() | float() if not limit.least <= value <= limit.most:
            raise ValueError(f"{name} must be {limit}, not {_told(value)}")
        case Form(), str() if not re.fullmatch(limit.pattern, value):
            raise ValueError(f"{name} must be {limit.words}, not {_told(value)}")
        case _:
            pass


def _in_words(limited: Any) -> str:
    kind = _bare(limited)
    origin = typing.get_origin(kind)
    if origin is Literal:
        return " or ".join(typing.get_args(kind))
    if origin in {Sequence, Iterable}:
        (each,) = typing.get_args(kind)
        return f"a list of {'texts' if _bare(each) is str else 'objects'}"
    if origin is Mapping or is_dataclass(kind):
        return "an object"
    if inspect.isclass(kind) and issubclass(kind, StrEnum):
        return " or ".join(kind)
    return _KINDS[kind]


def _told(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
