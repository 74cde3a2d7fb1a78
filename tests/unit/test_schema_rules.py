"""Deny by default: what no rule is for is never served, and no rule can show what its readers may not see."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_interface_type,
)

from domain.actor import Role
from schema import rules
from schema.build import build
from schema.rules import ANY, FIELDS, ROOT_FIELDS, TYPES, Roles, UndeclaredError

SCHEMA = build()[0]

REACHED_BY_BOOKING = {
    "Query": "availability booking bookingPage node viewer",
    "Mutation": "bookAppointment cancelBooking holdSlot releaseHold rescheduleBooking",
    "Subscription": "availabilityChanges",
    "Viewer": "role subaccount",
    "Subaccount": "id name",
    "Availability": "cursors freshness from slotStarts slots to windows",
    "AvailabilityUpdate": "availability closed isSnapshot opened",
    "Window": "end start",
    "Slot": "end start userIds",
    "Freshness": "applied asOf isFresh",
    "UserCursor": "cursor userId",
    "BookingPage": "bookableFrom bookableUntil durationMinutes hostName hostTimeZone name slug",
    "Booking": "cancellation end guest hostName hostTimeZone id isChangeable manageToken notes page start status title",
    "Guest": "email name phone",
    "Cancellation": "at by reason",
    "Hold": "end expiresAt start token",
    "SlotHeld": "hold",
    "HoldReleased": "token",
    "AppointmentBooked": "booking",
    "BookingCancelled": "booking",
    "InvalidInput": "field message",
    "NotFound": "message",
    "Forbidden": "message",
    "SlotUnavailable": "message nextSlots",
    "AvailabilityUnknown": "message retryAt",
    "AppointmentNotChangeable": "message",
    "IdempotencyConflict": "message",
    "RateLimited": "message retryAt",
}
"""All that a publishable key can ever show: times that are free, and the bookings whose token is held."""

HIDDEN_FROM_OWNERS = {
    "Query": "auditLog keys syncHealth users",
    "Mutation": "createKey createUser removeUser revokeKey",
    "UserConnection": "edges pageInfo",
    "UserEdge": "cursor node",
    "Key": "allowedOrigins createdAt id label lastUsedAt revokedAt role user",
    "KeyConnection": "edges pageInfo",
    "KeyEdge": "cursor node",
    "AuditEntry": "action actor at id subjectId",
    "AuditEntryConnection": "edges pageInfo",
    "AuditEntryEdge": "cursor node",
    "SyncHealth": "accounts accountsByStatus oldestPendingWriteAt pendingWrites pollLagSecondsP50 pollLagSecondsP99",
    "StatusCount": "count status",
    "UserCreated": "user",
    "UserRemoved": "userId",
    "KeyCreated": "key secret",
    "KeyRevoked": "keyId",
    "HasUpcomingAppointments": "count message",
}
"""What is the subaccount's own, and no one user's."""


def reached_by(role: Role) -> dict[str, set[str]]:
    """Every field that a document of this role can hold without being refused or null."""
    reached: dict[str, set[str]] = {}
    waiting: list[object] = []
    for path in (path for path, roles in ROOT_FIELDS.items() if role in roles):
        root, _, field = path.partition(".")
        reached.setdefault(root, set()).add(field)
        if path not in rules.BY_TYPE:
            waiting.append(get_named_type(fields_of(SCHEMA, root)[field].type))
    while waiting:
        for kind in objects(waiting.pop()):
            if kind.name in reached:
                continue
            shown = {name: field for name, field in kind.fields.items() if role in roles_of(kind.name, name)}
            reached[kind.name] = set(shown)
            waiting += [get_named_type(field.type) for field in shown.values()]
    return reached


def roles_of(kind: str, field: str) -> Roles:
    return rules.FIELDS[f"{kind}.{field}"]


def objects(kind: object) -> list[GraphQLObjectType]:
    if isinstance(kind, GraphQLUnionType) or is_interface_type(kind):
        return list(SCHEMA.get_possible_types(kind))
    return [kind] if isinstance(kind, GraphQLObjectType) else []


def fields_of(schema: GraphQLSchema, name: str) -> Mapping[str, GraphQLField]:
    kind = schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    fields: Mapping[str, GraphQLField] = kind.fields
    return fields


@pytest.mark.parametrize("field", sorted(name for name in ROOT_FIELDS if name.startswith("Mutation.")))
def test_a_mutations_description_says_whose_it_is(field: str) -> None:
    mutation = SCHEMA.mutation_type
    assert mutation is not None
    said = mutation.fields[field.removeprefix("Mutation.")].description or ""
    roles = ROOT_FIELDS[field]
    assert said.startswith("Any key. ") == (roles == ANY)
    assert said.startswith("ADMIN. ") == (roles == rules.ADMINS)


def test_a_booking_key_reaches_these_fields_and_no_other() -> None:
    listed = {kind: set(names.split()) for kind, names in REACHED_BY_BOOKING.items()}
    assert reached_by(Role.BOOKING) == listed


def test_an_owner_reaches_all_but_these() -> None:
    everything, own = reached_by(Role.ADMIN), reached_by(Role.OWNER)
    hidden = {kind: names - own.get(kind, set()) for kind, names in everything.items()}
    assert {kind: names for kind, names in hidden.items() if names} == {
        kind: set(names.split()) for kind, names in HIDDEN_FROM_OWNERS.items()
    }


def test_an_administrator_reaches_everything() -> None:
    shown = {name for name, kind in SCHEMA.type_map.items() if isinstance(kind, GraphQLObjectType)}
    reached = reached_by(Role.ADMIN)
    assert reached.keys() == {name for name in shown if not name.startswith("__")}
    assert all(reached[name] == set(fields_of(SCHEMA, name)) for name in reached)


@pytest.mark.parametrize("path", ["Query.viewer", "Mutation.revokeKey", "Subscription.appointmentChanges"])
def test_a_root_field_without_a_rule_is_not_served(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(rules, "ROOT_FIELDS", {name: it for name, it in ROOT_FIELDS.items() if name != path})
    with pytest.raises(UndeclaredError, match=path):
        rules.check(SCHEMA)


def test_a_type_without_a_rule_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "TYPES", {name: it for name, it in TYPES.items() if name != "Calendar"})
    with pytest.raises(UndeclaredError, match="Calendar"):
        rules.check(SCHEMA)


@pytest.mark.parametrize("path", ["Guest.email", "Calendar.problems", "SyncHealth.accounts"])
def test_a_field_without_a_rule_is_not_served(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(rules, "FIELDS", {name: it for name, it in FIELDS.items() if name != path})
    with pytest.raises(UndeclaredError, match=path):
        rules.check(SCHEMA)


@pytest.mark.parametrize("path", ["Query.user", "Query.keys", "Subscription.blockedSlotChanges"])
def test_a_rule_that_would_show_hidden_types_is_not_served(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(rules, "ROOT_FIELDS", {**ROOT_FIELDS, path: ANY})
    with pytest.raises(UndeclaredError, match=f"{path} would show"):
        rules.check(SCHEMA)


def test_a_field_shown_wider_than_what_it_leads_to_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "FIELDS", {**FIELDS, "BlockedSlot.event": ANY})
    with pytest.raises(UndeclaredError, match=r"BlockedSlot\.event would show CalendarEvent to BOOKING"):
        rules.check(SCHEMA)


def test_a_rule_for_what_is_gone_is_told() -> None:
    with pytest.raises(UndeclaredError, match="not there"):
        rules._same("type", {"User"}, {"User": ANY, "Gone": ANY})
