"""Requests that cost much to read, weigh or validate: by name, a body, and the code that each is refused with."""

from __future__ import annotations

import hashlib
import json

from schema.errors import Code


def asking(query: str, **more: object) -> bytes:
    return json.dumps({"query": query, **more}).encode()


def nested(opening: str, inner: str, times: int) -> str:
    return opening * times + inner + "}" * times


def doubled(levels: int, leaf: str) -> str:
    fragments = (f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(levels))
    return f"{{ ...F0 }} {' '.join(fragments)} fragment F{levels} on Query {{ {leaf} }}"


ROLE = "{ viewer { role } }"
WIDEST = asking("{" + "viewer{subaccount{id name}role user{id name email cursor}}" * 25 + "}")
"""It is allowed, and just so."""
RANGE = 'from: "2026-10-26T00:00:00Z", to: "2026-10-31T00:00:00Z"'
ABUSES: dict[str, tuple[bytes, Code]] = {
    # More than a document may hold.
    "10,000 aliases": (
        asking("{" + " ".join(f"a{n}: __typename" for n in range(6_000)) + "}"),
        Code.PAYLOAD_TOO_LARGE,
    ),
    "300 aliases": (asking("{" + " ".join(f"a{n}:__typename" for n in range(300)) + "}"), Code.TOO_COMPLEX),
    "16 aliases": (asking("{" + " ".join(f"a{n}: __typename" for n in range(16)) + "}"), Code.TOO_COMPLEX),
    "60,000 bytes of tokens": (asking("{" + "a " * 30_000 + "}"), Code.TOO_COMPLEX),
    "3,500 aliases": (
        asking("{" + " ".join(f"a{n}:__typename" for n in range(3_500)) + "}"),
        Code.TOO_COMPLEX,
    ),
    "60,000 parentheses": (asking("{" + "(" * 60_000), Code.BAD_REQUEST),
    "65 KiB": (asking("{" + " " * 66_000 + "}"), Code.PAYLOAD_TOO_LARGE),
    "an open text of 60,000": (asking('{ user(id: "' + "x" * 60_000), Code.BAD_REQUEST),
    "60,000 commas": (asking("{" + "," * 60_000), Code.BAD_REQUEST),
    "60,000 of comment": (asking("#" + "x" * 60_000), Code.BAD_REQUEST),
    # Deep, wide, in circles.
    "480 levels": (asking(nested("{a", "", 480)), Code.TOO_COMPLEX),
    "11 levels": (
        asking("{users{edges{node{iCloudAccount{calendars{problems" + nested("{a", "", 5) + "}" * 6),
        Code.TOO_COMPLEX,
    ),
    "240 inline fragments": (asking(nested("{...", "{__typename}", 240)), Code.TOO_COMPLEX),
    "a list of 480 lists": (asking("{user(id:" + "[" * 480 + "]" * 480 + "){id}}"), Code.TOO_COMPLEX),
    "an object of 200 objects": (
        asking("{user(id:" + "{a:" * 200 + "1" + "}" * 200 + "){id}}"),
        Code.TOO_COMPLEX,
    ),
    "a type of 480 lists": (asking("query($a:" + "[" * 480 + "Int" + "]" * 480 + "){viewer{role}}"), Code.TOO_COMPLEX),
    "fragments in a circle": (asking("{...A} fragment A on Query{...B} fragment B on Query{...A}"), Code.BAD_REQUEST),
    "a fragment in itself": (asking("{...A} fragment A on Query{viewer{role}...A}"), Code.BAD_REQUEST),
    "fragments doubled 24 times": (asking(doubled(24, "viewer { role }")), Code.TOO_COMPLEX),
    "fragments doubled 60 times": (asking(doubled(60, "viewer { role }")), Code.TOO_COMPLEX),
    "fragments doubled 24 times, for nothing": (asking(doubled(24, "a: viewer { role }")), Code.TOO_COMPLEX),
    "nodes in nodes": (
        asking(
            f"{{users(first:200){{edges{{node{{appointments({RANGE},first:200){{edges{{node{{id}}}}}}}}}}}}}}"
        ),
        Code.TOO_COMPLEX,
    ),
    # What makes validation compare everything with everything.
    "one field 990 times": (asking("{" + "__typename " * 990 + "}"), Code.TOO_COMPLEX),
    "one field with a field 240 times": (asking("{" + "viewer{role}" * 240 + "}"), Code.TOO_COMPLEX),
    "one field with a field 26 times": (asking("{" + "viewer{role}" * 26 + "}"), Code.TOO_COMPLEX),
    "one field 120 times, each in a fragment": (asking("{" + "...{viewer{role}}" * 120 + "}"), Code.TOO_COMPLEX),
    "25 times 19 fields, and one that there is not": (
        asking("{" + ("viewer{subaccount{id name}role user{id name email cursor}}" * 25) + "x}"),
        Code.BAD_REQUEST,
    ),
    "78 fragments with one field, side by side": (
        asking(
            "{" + "".join(f"...F{n} " for n in range(78)) + "x}"
            + "".join(f"fragment F{n} on Query{{viewer{{role}}}}" for n in range(78))
        ),
        Code.BAD_REQUEST,
    ),
    "one field with other arguments 110 times": (
        asking("{" + "".join(f'user(id:"{n}"){{id}}' for n in range(110)) + "}"),
        Code.TOO_COMPLEX,
    ),
    "160 fragments spread by each other": (
        asking(
            "{...F0}" + "".join(f"fragment F{n} on Query{{...F{n + 1}}}" for n in range(110))
            + "fragment F110 on Query{__typename}"
        ),
        Code.TOO_COMPLEX,
    ),
    "20 fragments of 20 spreads": (
        asking(
            "{" + " ".join(f"...F{n}" for n in range(18)) + "}"
            + "".join(
                f"fragment F{n} on Query{{" + "".join(f"...F{m}" for m in range(n + 1, 18)) + "__typename viewer{role}}"
                for n in range(18)
            )
        ),
        Code.TOO_COMPLEX,
    ),
    "200 unknown variables": (
        asking("query(" + ",".join(f"$v{n}:Int" for n in range(200)) + "){__typename}"),
        Code.BAD_REQUEST,
    ),
    "51 directives": (asking("{__typename " + "@skip(if:false) " * 51 + "}"), Code.TOO_COMPLEX),
    "900 unknown directives": (asking("{__typename " + "@a " * 480 + "}"), Code.TOO_COMPLEX),
    "an enum of 400 letters": (asking("{availability(input:{match:" + "E" * 400 + "}){__typename}}"), Code.BAD_REQUEST),
    # Not what it should be.
    "two operations and no name": (asking("query A{viewer{role}} query B{viewer{role}}"), Code.BAD_REQUEST),
    "two operations of one name": (
        asking("query A{viewer{role}} query A{viewer{role}}", operationName="A"),
        Code.BAD_REQUEST,
    ),
    "a name of no operation": (asking("query A{viewer{role}}", operationName="B"), Code.BAD_REQUEST),
    "no operation": (asking("fragment A on Query{viewer{role}}"), Code.BAD_REQUEST),
    "a definition of a type": (asking("{viewer{role}} type Query{a:Int}"), Code.BAD_REQUEST),
    "a batch": (json.dumps([{"query": ROLE}] * 10).encode(), Code.BAD_REQUEST),
    "a number": (b"1", Code.BAD_REQUEST),
    "null": (b"null", Code.BAD_REQUEST),
    "true": (b"true", Code.BAD_REQUEST),
    "a text": (b'"{ viewer { role } }"', Code.BAD_REQUEST),
    "nothing": (b"", Code.BAD_REQUEST),
    "half an object": (b'{"query": "{ viewer', Code.BAD_REQUEST),
    "no UTF-8": (b'{"query": "\xff\xfe"}', Code.BAD_REQUEST),
    "half a surrogate": (b'{"query": "{ user(id: \\"\\ud800\\") { id } }"}', Code.BAD_REQUEST),
    "30,000 arrays": (b"[" * 30_000 + b"]" * 30_000, Code.BAD_REQUEST),
    "10,000 objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, Code.BAD_REQUEST),
    "a number as the query": (b'{"query": 1}', Code.BAD_REQUEST),
    "a list as variables": (asking(ROLE, variables=[]), Code.BAD_REQUEST),
    "a number as the name": (asking(ROLE, operationName=5), Code.BAD_REQUEST),
    "a text as extensions": (asking(ROLE, extensions="x"), Code.BAD_REQUEST),
    "a wrong hash": (
        asking(ROLE, extensions={"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(b"").hexdigest()}}),
        Code.BAD_REQUEST,
    ),
    "NaN": (b'{"query": "query($n:Int){users(first:$n){edges{cursor}}}", "variables": {"n": NaN}}', Code.BAD_REQUEST),
    "5,000 digits": (asking("{users(first:" + "9" * 5_000 + "){edges{cursor}}}"), Code.BAD_REQUEST),
    "5,000 digits in a variable": (
        b'{"query": "query($n:Int){users(first:$n){edges{cursor}}}", "variables": {"n": ' + b"9" * 5_000 + b"}}",
        Code.BAD_REQUEST,
    ),
    "an exponent of 5,000 digits": (
        asking("{users(first:1e" + "9" * 5_000 + "){edges{cursor}}}"),
        Code.BAD_REQUEST,
    ),
    "control characters": (asking("{ viewer\x00 { role\x1b } }"), Code.BAD_REQUEST),
    "a mark of byte order in the middle": (asking("{ viewer \ufeff\u202e { \u2028role } }"), Code.BAD_REQUEST),
    "a field that there is not": (asking("{ viewers { role } }"), Code.BAD_REQUEST),
    "an instant without its offset": (
        asking('{availability(input:{bookingPage:"x",from:"2026-10-26T00:00:00",to:"2026-10-27"}){__typename}}'),
        Code.BAD_REQUEST,
    ),
    "a variable that is not given": (asking("query($id:ID!){user(id:$id){id}}"), Code.BAD_REQUEST),
    "a variable of another type": (
        asking("query($id:ID!){user(id:$id){id}}", variables={"id": {"a": [1] * 5_000}}),
        Code.BAD_REQUEST,
    ),
}  # fmt: skip
