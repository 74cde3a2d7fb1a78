// An owner's week, read once and kept as it is: pages with the first one's cursor, then each change after it, by id.
//   node build/examples/dashboard.js http://127.0.0.1:8080/graphql sw_owner_… 2026-10-26T00:00:00Z 2026-11-02T00:00:00Z
import type { BlockedSlotChangesSubscription } from "../generated/graphql.js";
import { graphql } from "../generated/index.js";
import { apollo, live } from "../src/connect.js";
import { follow } from "../src/follow.js";

const VIEWER = graphql(`
  query Viewer { viewer { role user { id name } } }
`);

const WEEK = graphql(`
  query Week($user: ID!, $from: DateTime!, $to: DateTime!, $page: String) {
    user(id: $user) {
      cursor
      blockedSlots(from: $from, to: $to, first: 2, after: $page) {
        edges { node { id title start end } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

const CHANGES = graphql(`
  subscription BlockedSlotChanges($user: ID!, $after: Cursor) {
    blockedSlotChanges(userId: $user, after: $after) {
      cursor
      kind
      slot { id title start end }
      previous { id }
    }
  }
`);

type Change = BlockedSlotChangesSubscription["blockedSlotChanges"];
type Slot = NonNullable<Change["slot"]>;

const [url = "", key = "", from = "", to = ""] = process.argv.slice(2);
const client = apollo({ url, key });
const slots = new Map<string, Slot>();

const viewer = await client.query({ query: VIEWER });
const user = viewer.data?.viewer.user;
if (!user) throw new Error("Give an owner's key.");

/** The whole, and the position to follow from: that of the first page, for what changes meanwhile comes again. */
async function read(userId: string): Promise<string> {
  let cursor: string | undefined;
  let page: string | null | undefined;
  slots.clear();
  do {
    const { data } = await client.query({ query: WEEK, variables: { user: userId, from, to, page: page ?? null } });
    if (!data?.user) throw new Error("This user is gone.");
    cursor ??= data.user.cursor;
    const { edges, pageInfo } = data.user.blockedSlots;
    for (const { node } of edges) slots.set(node.id, node);
    page = pageInfo.hasNextPage ? pageInfo.endCursor : undefined;
  } while (page);
  return cursor;
}

function apply({ kind, slot, previous }: Change): void {
  switch (kind) {
    case "ADDED":
    case "CHANGED":
      if (slot && slot.start < to && slot.end > from) slots.set(slot.id, slot);
      else if (previous) slots.delete(previous.id);
      break;
    case "REMOVED":
      if (previous) slots.delete(previous.id);
      break;
    case "RESET":
      break; // Read anew below.
  }
}

function show(what: string): void {
  console.log(`${what}: ${[...slots.values()].map((slot) => slot.title).sort().join(", ")}`);
}

const socket = live({ url, key });
const after = await read(user.id);
show(`${user.name} reads`);
follow(
  socket,
  CHANGES,
  { user: user.id, after },
  (data) => data.blockedSlotChanges,
  async (change) => {
    if (change.kind === "RESET") await read(user.id);
    apply(change);
    show(change.kind);
  },
  (why) => console.error(why.map(({ message }) => message).join(" ") || "The key was revoked, or the server ended it."),
);
process.once("SIGTERM", () => void socket.dispose());
