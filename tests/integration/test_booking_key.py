"""A publishable key, let loose on the whole schema: what it gets to see is on a list, and nothing private is."""

from __future__ import annotations

import secrets
from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    get_nullable_type,
    is_list_type,
    is_required_argument,
    is_required_input_field,
)

from domain.actor import Role
from models.bell import Bell
from models.database import Database
from resolvers import booking, events, types
from resolvers.booking import Saved
from resolvers.views import AppointmentTypeView, GuestView, SlotView
from schema import rules
from schema.build import build
from tests.e2e.serving import Served, serving, settings_with
from tests.integration.world import NOW, World, world_on
from tests.unit.test_schema_rules import REACHED_BY_BOOKING

SCHEMA = build()[0]
PRIVATE = "zq-private"
TUESDAY = int(NOW) - int(NOW) % 86_400 + 86_400 + 10 * 3600
OPEN = '"2026-10-28T10:00:00Z"'
STILL_OPEN = '"2026-10-28T12:00:00Z"'
LITERALS = {
    "DateTime": OPEN,
    "Date": '"2026-10-28"',
    "LocalTime": '"10:00"',
    "TimeZone": '"Europe/Paris"',
    "Cursor": '"x"',
    "String": '"x"',
    "Int": "30",
    "Boolean": "true",
}
TABLES = {
    "User": "users",
    "Subaccount": "subaccount",
    "Key": "api_key",
    "ICloudAccount": "icloud_account",
    "Calendar": "calendar",
    "BlockedSlot": "blocked_slot",
    "AppointmentType": "appointment_type",
    "Appointment": "appointment",
    "AuditEntry": "audit_entry",
}
VALUES = {
    "bookingPage": '"talk"',
    "slug": '"talk"',
    "to": '"2026-10-30T00:00:00Z"',
    "idempotencyKey": '"a-key-that-is-made-anew"',
    "email": '"ben@example.org"',
    "name": '"Ben"',
    "role": "ADMIN",
}
IDS = {
    "userId": "User",
    "calendarId": "Calendar",
    "blockedSlotId": "BlockedSlot",
    "appointmentTypeId": "AppointmentType",
    "appointmentId": "Appointment",
    "keyId": "Key",
}
Ids = dict[str, str]


async def fill(world: World) -> None:
    """Everything that is nobody's business, marked as such."""
    await world.connect(world.ben)  # Anna, with none chosen, could not be booked.
    user = world.anna.user
    kind = await world.admin(types.create_type, user_id=user, name="Talk", slug="talk", duration_minutes=30)
    slot = await world.admin(
        events.create_blocked_slot, user_id=user, start=TUESDAY, end=TUESDAY + 1800, title=PRIVATE
    )
    assert isinstance(kind, AppointmentTypeView)
    assert isinstance(slot, SlotView)
    guest = GuestView(PRIVATE, f"{PRIVATE}@example.org", "+33 1 zq-private")
    made: list[str] = []
    for number in (1, 2):
        saved = await world.admin(
            booking.create_appointment, idempotency_key=secrets.token_hex(16), user_id=user, type_id=kind.id,
            start=TUESDAY + number * 1800, end=None, title=PRIVATE, guest=guest, notes=PRIVATE,
        )  # fmt: skip
        assert isinstance(saved, Saved)
        made.append(saved.appointment.id)
    await world.admin(booking.cancel_appointment, appointment_id=made[1], reason=PRIVATE)
    await world.write("UPDATE calendar SET name = $1 || name, color = NULL", PRIVATE)
    await world.write("UPDATE users SET email = $1", f"{PRIVATE}@example.org")
    await world.write("UPDATE icloud_account SET problem_message = $1, problem_code = 'THROTTLED'", PRIVATE)


async def ids_of(world: World) -> Ids:
    """One of each kind of node, by its type."""
    return {
        kind: (await world.rows(f"SELECT id FROM {table} ORDER BY id"))[0]["id"]
        for kind, table in TABLES.items()
    }


# --- Documents made from the schema


def documents(ids: Ids) -> Iterator[str]:
    """For each root field that is open, all that can be asked of each of its answers; one for every other."""
    for kind, root in (("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type)):
        assert root is not None
        for name, field in root.fields.items():
            output = get_named_type(field.type)
            is_open = Role.BOOKING in rules.ROOT_FIELDS[f"{root.name}.{name}"]
            for shown in possible(output) if is_open else possible(output)[:1]:
                arguments = arguments_of(field, {**ids, "id": ids.get(shown.name, "x")})
                yield f"{kind} {{ {name}{arguments} {everything(output, shown)} }}"


def possible(output: object) -> list[GraphQLObjectType]:
    if isinstance(output, GraphQLUnionType | GraphQLInterfaceType):
        return list(SCHEMA.get_possible_types(output))
    assert isinstance(output, GraphQLObjectType)
    return [output]


def everything(output: object, shown: GraphQLObjectType) -> str:
    """A selection that holds each field of each type that can be got to from here, where it is nearest."""
    children: dict[str, list[tuple[str, str]]] = {}
    waiting = deque([shown])
    while waiting:
        parent = waiting.popleft()
        if parent.name in children:
            continue
        children[parent.name] = []
        for name, field in parent.fields.items():
            for target in targets(get_named_type(field.type)):
                if target.name not in children and all(target is not it for it in waiting):
                    waiting.append(target)
                    children[parent.name].append((name, target.name))
    return selection(output, shown.name, children)


def targets(output: object) -> list[GraphQLObjectType]:
    is_composite = isinstance(output, GraphQLObjectType | GraphQLUnionType | GraphQLInterfaceType)
    return possible(output) if is_composite else []


def selection(output: object, name: str, children: dict[str, list[tuple[str, str]]]) -> str:
    parent = SCHEMA.type_map[name]
    assert isinstance(parent, GraphQLObjectType)
    nearest: defaultdict[str, list[str]] = defaultdict(list)
    for field_name, target in children[name]:
        nearest[field_name].append(target)
    parts = ["__typename"]
    for field_name, field in parent.fields.items():
        leads_to = get_named_type(field.type)
        if not targets(leads_to):
            parts.append(field_name)
        parts += [
            f"{field_name}{arguments_of(field, {})} {selection(leads_to, target, children)}"
            for target in nearest[field_name]
        ]
    body = " ".join(parts)
    return f"{{ {body} }}" if output is parent else f"{{ __typename ... on {name} {{ {body} }} }}"


def arguments_of(field: GraphQLField, ids: Ids) -> str:
    given = [
        f"{name}: {literal(name, argument, ids)}"
        for name, argument in field.args.items()
        if is_required_argument(argument)
    ]
    if "first" in field.args:
        given.append("first: 2")
    return f"({', '.join(given)})" if given else ""


def literal(name: str, wanted: Any, ids: Ids) -> str:
    kind = get_named_type(wanted.type)
    if is_list_type(get_nullable_type(wanted.type)):
        return "[]"
    match kind:
        case GraphQLInputObjectType():
            return f"{{{', '.join(fields_of(kind, ids))}}}"
        case GraphQLEnumType():
            return str(next(iter(kind.values)))
    if kind.name == "ID":
        return f'"{ids.get(IDS.get(name, name), "x")}"'
    return VALUES.get(name, LITERALS[kind.name])


def fields_of(kind: GraphQLInputObjectType, ids: Ids) -> Iterator[str]:
    fields: dict[str, GraphQLInputField] = dict(kind.fields)
    if kind.name == "AvailabilityInput":
        yield 'bookingPage: "talk"'
    for name, field in fields.items():
        if is_required_input_field(field):
            yield f"{name}: {literal(name, field, ids)}"


# --- What came back


def reached(shown: object) -> Iterator[tuple[str, str]]:
    """Every field that has a value, by its type."""
    if isinstance(shown, list):
        for item in shown:
            yield from reached(item)
    if isinstance(shown, dict):
        for name, value in shown.items():
            if name != "__typename" and value is not None:
                yield shown.get("__typename", "root"), name
                yield from reached(value)


async def test_no_document_shows_a_booking_key_more_than_the_list_holds(
    database: Database, bell: Bell
) -> None:
    world = await world_on(database, bell)
    await fill(world)
    found: defaultdict[str, set[str]] = defaultdict(set)
    asked = 0
    async with serving(world, settings_with(TRUSTED_PROXIES="127.0.0.1")) as served:
        for document in documents(await ids_of(world)):
            shown = await ask(served, document)
            codes = {error["extensions"]["code"] for error in shown.get("errors", ())}
            assert codes <= {"FORBIDDEN"}, (document, shown)
            for kind, name in reached(shown.get("data")):
                found[kind].add(name)
            asked += 1
        told = await own_booking(served)
    for kind, name in reached(told):
        found[kind].add(name)
    del found["root"]
    listed = {kind: set(names.split()) for kind, names in REACHED_BY_BOOKING.items()}
    beyond = {kind: names - listed.get(kind, set()) for kind, names in found.items()}
    assert not any(beyond.values()), beyond
    assert asked > 70
    assert {
        "Availability",
        "Booking",
        "BookingPage",
        "Guest",
        "Subaccount",
        "Hold",
        "NotFound",
    } <= found.keys()


async def ask(served: Served, document: str) -> Any:
    """Each time as another guest, so that no limit gets in the way."""
    address = f"2001:db8:{secrets.randbelow(1 << 16):x}:{secrets.randbelow(1 << 16):x}::1"
    answer = await served.post(served.booking, {"query": document}, x_forwarded_for=address)
    assert PRIVATE not in answer.text, document
    return answer.json()


async def own_booking(served: Served) -> Any:
    """What the guest who booked sees of it, and of the slot that is taken now."""
    book = (
        'mutation { bookAppointment(input: {idempotencyKey: "KEY", bookingPage: "talk", start: START,'
        ' guest: {name: "Ben", email: "ben@example.org"}}) SELECTION }'
    )
    answers = []
    for key in ("one-made-anew-0001", "one-made-anew-0002"):
        for shown in ("AppointmentBooked", "SlotUnavailable"):
            kind = SCHEMA.type_map[shown]
            assert isinstance(kind, GraphQLObjectType)
            text = everything(SCHEMA.type_map["BookAppointmentResult"], kind)
            document = book.replace("KEY", key).replace("START", STILL_OPEN).replace("SELECTION", text)
            answers.append((await ask(served, document))["data"])
    return answers
