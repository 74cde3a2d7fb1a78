// Claims about the server, each tried by itself and told on a line of JSON; and what every client here needs.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

export const url = process.env.SLOTWIRE_URL;
export const socketUrl = url.replace(/^http/, 'ws');
export const key = process.env.SLOTWIRE_OWNER_KEY;
export const bookingKey = process.env.SLOTWIRE_BOOKING_KEY;
export const user = process.env.SLOTWIRE_USER;
export const headers = { authorization: `Bearer ${key}` };
export const connectionParams = { authorization: `Bearer ${key}` };

export const VIEWER = 'query Viewer { viewer { role } }';
export const BLOCK = `mutation Block($input: CreateBlockedSlotInput!) { createBlockedSlot(input: $input) {
  __typename ... on BlockedSlotCreated { blockedSlot { id } } } }`;
export const CHANGES = `subscription Changes($user: ID!, $after: Cursor) {
  blockedSlotChanges(userId: $user, after: $after) { cursor kind slot { id } } }`;
export const CURSOR = 'query Cursor($user: ID!) { user(id: $user) { cursor } }';

export const manual = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
const [, following] = manual.match(/```js\n(const request = .*?)```/s);

/** As the manual shows it: each change that `client` is told of comes to `apply`. */
export async function followAsShown(client, apply) {
  const names = ['client', 'FOLLOW', 'user', 'cursor', 'apply', 'report'];
  new Function(...names, following)(client, CHANGES, user, await cursor(), apply, () => {});
}

export function assert(holds, story) {
  if (!holds) throw new Error(story);
}

export function equal(found, expected, what) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  assert(one === other, `${what}: ${one} is not ${other}`);
}

export async function within(seconds, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

export async function post(query, variables = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

let minute = 0;
export function anHour() {
  const start = new Date(Date.UTC(2027, 0, 4) + 3600_000 * minute++);
  return { userId: user, start: start.toISOString(), end: new Date(start.getTime() + 1800_000).toISOString() };
}

export async function block() {
  const answer = await post(BLOCK, { input: anHour() });
  return answer.data.createBlockedSlot.blockedSlot.id;
}

export const cursor = async () => (await post(CURSOR, { user })).data.user.cursor;
export const newKey = () => randomUUID();

// Runs the claims one after the other; a claim that throws has not held.
export async function tell(claims) {
  for (const [claim, hold] of Object.entries(claims)) {
    let story = 'ok';
    try {
      await within(120, hold(), claim);
    } catch (error) {
      story = String(error?.stack ?? error);
    }
    console.log(JSON.stringify({ claim, story }));
  }
  process.exit(0);
}
