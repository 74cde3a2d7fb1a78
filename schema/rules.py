"""Who may reach what: every root field, and every field that an answer can hold. What is not here is denied to all."""

from collections.abc import Iterator, Mapping

from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)

from domain.actor import Role
from schema import visible

Roles = frozenset[Role]

ANY: Roles = frozenset(Role)
HOSTS: Roles = frozenset({Role.ADMIN, Role.OWNER})
ADMINS: Roles = frozenset({Role.ADMIN})

ROOT_FIELDS: Mapping[str, Roles] = {
    "Query.viewer": ANY,
    "Query.user": HOSTS,
    "Query.users": ADMINS,
    "Query.availability": ANY,
    "Query.bookingPage": ANY,
    "Query.booking": ANY,
    "Query.auditLog": ADMINS,
    "Query.keys": ADMINS,
    "Query.node": ANY,
    "Query.syncHealth": ADMINS,
    "Mutation.connectICloud": HOSTS,
    "Mutation.renewICloudPassword": HOSTS,
    "Mutation.disconnectICloud": HOSTS,
    "Mutation.refreshICloud": HOSTS,
    "Mutation.setLinkedCalendar": HOSTS,
    "Mutation.setConflictCalendars": HOSTS,
    "Mutation.setBusyPolicy": HOSTS,
    "Mutation.setWorkingHours": HOSTS,
    "Mutation.createBlockedSlot": HOSTS,
    "Mutation.deleteBlockedSlot": HOSTS,
    "Mutation.createAppointmentType": HOSTS,
    "Mutation.updateAppointmentType": HOSTS,
    "Mutation.archiveAppointmentType": HOSTS,
    "Mutation.holdSlot": ANY,
    "Mutation.releaseHold": ANY,
    "Mutation.bookAppointment": ANY,
    "Mutation.rescheduleBooking": ANY,
    "Mutation.cancelBooking": ANY,
    "Mutation.createAppointment": HOSTS,
    "Mutation.rescheduleAppointment": HOSTS,
    "Mutation.cancelAppointment": HOSTS,
    "Mutation.updateUser": HOSTS,
    "Mutation.createUser": ADMINS,
    "Mutation.removeUser": ADMINS,
    "Mutation.createKey": ADMINS,
    "Mutation.revokeKey": ADMINS,
    "Subscription.blockedSlotChanges": HOSTS,
    "Subscription.availabilityChanges": ANY,
    "Subscription.iCloudAccountChanges": HOSTS,
    "Subscription.appointmentChanges": HOSTS,
}

NARROWER_FIELDS: Mapping[str, Roles] = {
    # Null for every key but an OWNER's.
    "Viewer.user": HOSTS,
}
"""Fields that are null for roles that may see the rest of their type."""

BY_TYPE = frozenset({"Query.node"})
"""Root fields that can find any type: an object whose type the role may not see is null."""

_SHOWN = ((ANY, visible.TO_ALL), (HOSTS, visible.TO_HOSTS), (ADMINS, visible.TO_ADMINS))

TYPES: Mapping[str, Roles] = {kind: roles for roles, shown in _SHOWN for kind in shown}

FIELDS: Mapping[str, Roles] = {
    path: NARROWER_FIELDS.get(path, roles)
    for roles, shown in _SHOWN
    for kind, names in shown.items()
    for path in (f"{kind}.{name}" for name in names.split())
}


class UndeclaredError(TypeError):
    """A field or a type does not say who may reach it, or leads to what its readers may not see."""


def check(schema: GraphQLSchema) -> None:
    """Raises UndeclaredError, so that such a schema is never served."""
    roots = [root for root in (schema.query_type, schema.mutation_type, schema.subscription_type) if root]
    _same("root field", {f"{root.name}.{name}" for root in roots for name in root.fields}, ROOT_FIELDS)
    shown = {
        name
        for name, kind in schema.type_map.items()
        if isinstance(kind, GraphQLObjectType) and not name.startswith("__") and kind not in roots
    }
    _same("type", shown, TYPES)
    for name, roles in ROOT_FIELDS.items():
        root, _, field = name.partition(".")
        if name not in BY_TYPE:
            _leads_only_to(schema, name, roles, _object(schema, root).fields[field].type)
    _same("field", {f"{name}.{field}" for name in shown for field in _object(schema, name).fields}, FIELDS)
    for path, roles in FIELDS.items():
        name, _, field = path.partition(".")
        _leads_only_to(schema, path, roles, _object(schema, name).fields[field].type)


def _same(what: str, found: set[str], declared: Mapping[str, Roles]) -> None:
    if missing := sorted(found - declared.keys()):
        raise UndeclaredError(f"No rule says who may reach the {what} {', '.join(missing)}.")
    if gone := sorted(declared.keys() - found):
        raise UndeclaredError(f"A rule is for a {what} that is not there: {', '.join(gone)}.")


def _leads_only_to(schema: GraphQLSchema, path: str, roles: Roles, output: object) -> None:
    for kind in _objects(schema, get_named_type(output)):  # type: ignore[call-overload]  # Any output type.
        if hidden := roles - TYPES[kind.name]:
            raise UndeclaredError(f"{path} would show {kind.name} to {', '.join(sorted(hidden))}.")


def _objects(schema: GraphQLSchema, kind: GraphQLNamedType) -> Iterator[GraphQLObjectType]:
    if isinstance(kind, GraphQLUnionType | GraphQLInterfaceType):
        yield from schema.get_possible_types(kind)
    elif isinstance(kind, GraphQLObjectType):
        yield kind


def _object(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    kind = schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    return kind
