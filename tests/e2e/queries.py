"""The documents that the end-to-end tests and the benchmarks send."""

CONNECTED = """
... on ICloudConnected { account { id status calendars {
    id name color kind canWrite linkable { yes reason } conflictSelectable { yes reason } isLinked isConflict } } }
"""
CONFIGURED = """
... on CalendarsConfigured { user { linkedCalendar { id name } conflictCalendars { id name } } }
... on CalendarNotSelectable { reason }
"""
ACCOUNT_CHANGES = """
subscription ($user: ID!) { iCloudAccountChanges(userId: $user) {
    account { status progress { done total } problem { code message } lastSyncedAt nextSyncAt } } }
"""
AVAILABILITY = """
query ($input: AvailabilityInput!) { availability(input: $input) { __typename
    ... on UserError { message }
    ... on Availability { windows { start end } slotStarts freshness { asOf isFresh } cursors { userId cursor } } } }
"""
CURSOR = "query ($user: ID!) { user(id: $user) { cursor } }"
SLOT_CHANGES = """
subscription ($user: ID!, $after: Cursor) { blockedSlotChanges(userId: $user, after: $after) {
    cursor kind detectedAt slot { id start end title source event { title } } previous { id start end title } } }
"""
APPOINTMENT_CHANGES = """
subscription ($user: ID!, $after: Cursor) { appointmentChanges(userId: $user, after: $after) {
    cursor kind appointment { id start end status iCloud { state } } } }
"""
BOOKED = """
... on AppointmentBooked { booking { id manageToken start end status } }
... on SlotUnavailable { nextSlots { start end } }
... on RateLimited { retryAt }
"""
SAVED = """
... on AppointmentSaved { appointment { id start end status iCloud { state } } booking { manageToken } }
... on SlotUnavailable { nextSlots { start end } }
"""
APPOINTMENTS = """
query ($user: ID!, $from: DateTime!, $to: DateTime!, $after: String) { user(id: $user) { appointments(
    from: $from, to: $to, first: 200, after: $after) {
    pageInfo { hasNextPage endCursor }
    edges { node { id title start end status iCloud { state attempts problem } } } } } }
"""
