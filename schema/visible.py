"""What each type shows to those who may see it, field by field: what is not here is shown to nobody."""

from collections.abc import Mapping

Fields = Mapping[str, str]
"""The names of a type's fields, by its own."""

TO_ALL: Fields = {
    "Viewer": "role subaccount user",
    "Subaccount": "id name",
    "Availability": "from to freshness windows slots slotStarts cursors",
    "AvailabilityUpdate": "isSnapshot availability opened closed",
    "Window": "start end",
    "Slot": "start end userIds",
    "Freshness": "asOf isFresh applied",
    "UserCursor": "userId cursor",
    "BookingPage": "slug name hostName hostTimeZone durationMinutes bookableFrom bookableUntil",
    "Booking": (
        "id manageToken page hostName hostTimeZone title start end status isChangeable guest notes "
        "cancellation"
    ),
    "Guest": "name email phone",
    "Cancellation": "at by reason",
    "Hold": "token start end expiresAt",
    "SlotHeld": "hold",
    "HoldReleased": "token",
    "AppointmentBooked": "booking",
    "BookingCancelled": "booking",
    "InvalidInput": "message field",
    "NotFound": "message",
    "Forbidden": "message",
    "SlotUnavailable": "message nextSlots",
    "AvailabilityUnknown": "message retryAt",
    "AppointmentNotChangeable": "message",
    "IdempotencyConflict": "message",
    "RateLimited": "message retryAt",
}

TO_HOSTS: Fields = {
    "PageInfo": "hasNextPage hasPreviousPage startCursor endCursor",
    "User": (
        "id name email timeZone workingHours iCloudAccount linkedCalendar conflictCalendars events "
        "blockedSlots appointments appointmentTypes cursor closedSpans"
    ),
    "WorkingHours": "weekly overrides",
    "WeeklyHours": "day start end",
    "DateOverride": "date hours",
    "HoursSpan": "start end",
    "ICloudAccount": "id appleId status problem connectedAt lastSyncedAt nextSyncAt progress calendars",
    "ICloudProblem": "code message since retryAt",
    "SyncProgress": "done total",
    "Calendar": (
        "id name color kind canWrite linkable conflictSelectable isLinked isConflict busyPolicy "
        "lastSyncedAt eventCount problems"
    ),
    "Selectable": "yes reason",
    "EventProblem": "uid code message blockedFrom blockedTo",
    "BusyPolicy": "declined unanswered tentative allDayBusy allDayFree travelTime",
    "CalendarEvent": (
        "id uid title start end isAllDay startDate endDate isRecurring showAs status participation "
        "blocksAvailability calendar appointment"
    ),
    "CalendarEventConnection": "edges pageInfo",
    "CalendarEventEdge": "cursor node",
    "BlockedSlot": "id start end isAllDay source title event",
    "BlockedSlotConnection": "edges pageInfo",
    "BlockedSlotEdge": "cursor node",
    "ClosedSpan": "start end reasons",
    "ClosedReason": "code blockedSlot appointment calendar",
    "AppointmentType": (
        "id name slug durationMinutes stepMinutes bufferBeforeMinutes bufferAfterMinutes "
        "minimumNoticeMinutes horizonDays maximumPerDay isArchived user"
    ),
    "Appointment": (
        "id title start end status guest notes cancellation createdAt iCloud user type conflicts"
    ),
    "AppointmentInICloud": "state writtenAt attempts problem calendar",
    "AppointmentConnection": "edges pageInfo",
    "AppointmentEdge": "cursor node",
    "BlockedSlotChange": "cursor kind slot previous detectedAt",
    "AppointmentChange": "cursor kind appointment detectedAt",
    "ICloudAccountChange": "account",
    "ICloudConnected": "account",
    "ICloudDisconnected": "user",
    "ICloudRefreshed": "account changes isComplete",
    "CalendarsConfigured": "user",
    "BusyPolicySet": "calendar",
    "WorkingHoursSet": "user",
    "BlockedSlotCreated": "blockedSlot",
    "BlockedSlotDeleted": "blockedSlotId",
    "AppointmentTypeSaved": "appointmentType",
    "AppointmentSaved": "appointment booking",
    "UserUpdated": "user",
    "ICloudPasswordRefused": "message",
    "AppSpecificPasswordRequired": "message helpUrl",
    "AlreadyConnected": "message",
    "ICloudAccountInUse": "message",
    "DifferentICloudAccount": "message",
    "ICloudUnavailable": "message retryAt",
    "CalendarNotSelectable": "message calendarId reason",
    "SlugTaken": "message",
}

TO_ADMINS: Fields = {
    "UserConnection": "edges pageInfo",
    "UserEdge": "cursor node",
    "Key": "id label role allowedOrigins createdAt lastUsedAt revokedAt user",
    "KeyConnection": "edges pageInfo",
    "KeyEdge": "cursor node",
    "AuditEntry": "id at actor action subjectId",
    "AuditEntryConnection": "edges pageInfo",
    "AuditEntryEdge": "cursor node",
    "SyncHealth": (
        "accounts accountsByStatus pollLagSecondsP50 pollLagSecondsP99 pendingWrites oldestPendingWriteAt"
    ),
    "StatusCount": "status count",
    "UserCreated": "user",
    "UserRemoved": "userId",
    "KeyCreated": "key secret",
    "KeyRevoked": "keyId",
    "HasUpcomingAppointments": "message count",
}
