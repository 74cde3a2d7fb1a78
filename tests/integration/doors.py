"""Every root field, and what the walk over the schema asks it for."""

from __future__ import annotations

from tests.integration.access_walk import RANGE, Door

_GUEST = '{name: "Ben", email: "ben@example.org"}'
_ALL_WEEK = ", ".join(
    f'{{day: {day}DAY, start: "00:00", end: "24:00"}}'
    for day in ["MON", "TUES", "WEDNES", "THURS", "FRI", "SATUR", "SUN"]
)
_KEY = "idempotencyKey: $fresh"
_OURS = ("... on Query { mine: viewer { subaccount { id } } }", "subaccount")

QUERIES = (
    Door("Query.viewer", "viewer", *_OURS),
    Door("Query.user", "user(id: $user)", goes_on=True),
    Door("Query.users", "users(first: 10)", "users(first: 10) { edges { node { id } } }", "user"),
    Door("Query.availability", f"availability(input: {{userIds: [$user], {RANGE}, firstSlots: 3}})"),
    Door("Query.availability", f"availability(input: {{bookingPage: $slug, {RANGE}, firstSlots: 3}})"),
    Door("Query.bookingPage", "bookingPage(slug: $slug)"),
    Door("Query.booking", "booking(manageToken: $token)"),
    Door("Query.booking", "booking(manageToken: $cancelled)"),
    Door(
        "Query.auditLog",
        "auditLog(first: 100)",
        "auditLog(first: 100) { edges { node { subjectId } } }",
        "key",
    ),
    Door("Query.keys", "keys(first: 10)", "keys(first: 10) { edges { node { id } } }", "key"),
    Door("Query.syncHealth", "syncHealth", *_OURS),
)
NODES = tuple(
    Door("Query.node", f"node(id: ${name})")
    for name in (
        "subaccount user account calendar event slot type appointment key audit".split()  # noqa: SIM905
    )
)

SUBSCRIPTIONS = (
    Door("Subscription.blockedSlotChanges", "blockedSlotChanges(userId: $user, after: $cursor)"),
    Door("Subscription.appointmentChanges", "appointmentChanges(userId: $user, after: $cursor)"),
    Door("Subscription.iCloudAccountChanges", "iCloudAccountChanges(userId: $user)"),
    Door(
        "Subscription.availabilityChanges",
        f"availabilityChanges(input: {{userIds: [$user], {RANGE}, firstSlots: 3}})",
    ),
    Door(
        "Subscription.availabilityChanges",
        f"availabilityChanges(input: {{bookingPage: $slug, {RANGE}, firstSlots: 3}})",
    ),
)


def _done(call: str) -> Door:
    return Door(f"Mutation.{call.partition('(')[0]}", call)


def _connecting(password: str) -> Door:
    return _done(
        f'connectICloud(input: {{userId: $user, appleId: "own@icloud.com", appSpecificPassword: "{password}"}})'
    )


def _appointing(start: str) -> Door:
    return _done(
        f"createAppointment(input: {{{_KEY}, userId: $user, appointmentTypeId: $type, start: {start},"
        f" guest: {_GUEST}}})"
    )


MUTATIONS = (
    _done('renewICloudPassword(input: {userId: $user, appSpecificPassword: "abcd-efgh-ijkl-mnop"})'),
    _done('renewICloudPassword(input: {userId: $user, appSpecificPassword: "wron-gpas-swor-dxyz"})'),
    _done('renewICloudPassword(input: {userId: $user, appSpecificPassword: "hunter2"})'),
    _connecting("abcd-efgh-ijkl-mnop"),
    _done("refreshICloud(input: {userId: $user})"),
    _done("setLinkedCalendar(input: {userId: $user, calendarId: $calendar})"),
    _done("setLinkedCalendar(input: {userId: $user, calendarId: $readonly})"),
    _done("setConflictCalendars(input: {userId: $user, calendarIds: [$calendar]})"),
    _done("setBusyPolicy(input: {calendarId: $calendar, tentative: IGNORE})"),
    _done(
        f"setWorkingHours(input: {{userId: $user, weekly: [{_ALL_WEEK}],"
        ' overrides: [{date: "2026-10-30", hours: [{start: "09:00", end: "10:00"}]}]})'
    ),
    _done("createBlockedSlot(input: {userId: $user, start: $open, end: $soon})"),
    _done("createBlockedSlot(input: {userId: $user, start: $taken, end: $taken})"),
    _done("deleteBlockedSlot(input: {blockedSlotId: $slot})"),
    _done('createAppointmentType(input: {userId: $user, name: "N", slug: $fresh, durationMinutes: 5})'),
    _done('createAppointmentType(input: {userId: $user, name: "N", slug: $slug, durationMinutes: 5})'),
    _done('updateAppointmentType(input: {appointmentTypeId: $type, name: "New"})'),
    _done("archiveAppointmentType(input: {appointmentTypeId: $type})"),
    _done("holdSlot(input: {bookingPage: $slug, start: $next})"),
    _done("releaseHold(input: {token: $hold})"),
    _done(f"bookAppointment(input: {{{_KEY}, bookingPage: $slug, start: $next, guest: {_GUEST}}})"),
    _done(f"bookAppointment(input: {{{_KEY}, bookingPage: $slug, start: $taken, guest: {_GUEST}}})"),
    _done(f"rescheduleBooking(input: {{{_KEY}, manageToken: $token, start: $next}})"),
    _done('cancelBooking(input: {manageToken: $token, reason: "Ill."})'),
    _appointing("$next"),
    _appointing("$taken"),
    _done(f"rescheduleAppointment(input: {{{_KEY}, appointmentId: $appointment, start: $next}})"),
    _done('cancelAppointment(input: {appointmentId: $appointment, reason: "Ill."})'),
    _done('updateUser(input: {userId: $user, name: "New"})'),
    _done('createUser(input: {name: "N", timeZone: "Europe/Paris"})'),
    _done('createKey(input: {label: "N", role: OWNER, userId: $user})'),
    _done("revokeKey(input: {keyId: $key})"),
    _done("removeUser(input: {userId: $user})"),
    _done("disconnectICloud(input: {userId: $user})"),
    # After this there is no one left to ask for.
    _done("removeUser(input: {userId: $user, cancelUpcoming: true})"),
)
