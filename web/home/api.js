// The operations that this page sends, and the one way it sends them.
export const WEEK = `query Week($userId: ID!, $from: DateTime!, $to: DateTime!, $input: AvailabilityInput!) {
  user(id: $userId) {
    timeZone
    cursor
    iCloudAccount { status lastSyncedAt problem { message } progress { done total } }
    blockedSlots(from: $from, to: $to, first: 200) { edges { node { id start end title source } } }
    appointments(from: $from, to: $to, status: CONFIRMED, first: 200) { edges { node { start end title } } }
  }
  availability(input: $input) {
    ... on Availability { windows { start end } }
    ... on UserError { message }
  }
}`;

export const BLOCKED_SLOT_CHANGES = `subscription BlockedSlotChanges($userId: ID!, $after: Cursor) {
  blockedSlotChanges(userId: $userId, after: $after) {
    cursor
    kind
    detectedAt
    slot { title start end source }
    previous { title start end source }
  }
}`;

export const APPOINTMENT_CHANGES = `subscription AppointmentChanges($userId: ID!, $after: Cursor) {
  appointmentChanges(userId: $userId, after: $after) {
    cursor
    kind
    detectedAt
    appointment { title start end }
  }
}`;

export const ACCOUNT_CHANGES = `subscription AccountChanges($userId: ID!) {
  iCloudAccountChanges(userId: $userId) { account { status } }
}`;

export const BLOCK = `mutation Block($input: CreateBlockedSlotInput!) {
  createBlockedSlot(input: $input) {
    ... on BlockedSlotCreated { blockedSlot { id } }
    ... on UserError { message }
  }
}`;

export const UNBLOCK = `mutation Unblock($input: DeleteBlockedSlotInput!) {
  deleteBlockedSlot(input: $input) {
    ... on BlockedSlotDeleted { blockedSlotId }
    ... on UserError { message }
  }
}`;

export const CONNECT = `mutation Connect($input: ConnectICloudInput!) {
  connectICloud(input: $input) {
    ... on ICloudConnected {
      account { calendars { id name linkable { yes } conflictSelectable { yes } } }
    }
    ... on UserError { message }
  }
}`;

export const CALENDARS = `query Calendars($userId: ID!) {
  user(id: $userId) {
    iCloudAccount { calendars { id name linkable { yes } conflictSelectable { yes } } }
  }
}`;

// The whole set first: the first sync starts with the first choice, and then reads all of it at once.
export const CHOOSE = `mutation Choose($conflicts: SetConflictCalendarsInput!, $linked: SetLinkedCalendarInput!) {
  setConflictCalendars(input: $conflicts) { ... on UserError { message } }
  setLinkedCalendar(input: $linked) { ... on UserError { message } }
}`;

export const PLACES = `query Places($userId: ID!, $input: AvailabilityInput!) {
  user(id: $userId) {
    iCloudAccount { calendars { id name linkable { yes } } }
  }
  availability(input: $input) {
    ... on Availability { slotStarts }
  }
}`;

/** Gives the data, or throws the first sentence that says why not, be it an error or a typed refusal. */
export async function send(key, query, variables) {
  const { data, errors } = await post(key, query, variables).catch(() => {
    throw new Error("The server can't be reached.");
  });
  const refusal = errors?.[0]?.message ?? Object.values(data).find((answer) => answer?.message)?.message;
  if (refusal) throw new Error(refusal);
  return data;
}

async function post(key, query, variables) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: {
      accept: "application/graphql-response+json",
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(30_000), // As with websockets: of a line that is dead the page is told nothing.
  });
  return response.json();
}
