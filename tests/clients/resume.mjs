// Readers over graphql-ws are dropped and resume from their cursor while writers run: nothing missed, nothing twice.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { BLOCK, CHANGES, anHour, assert, connectionParams, cursor, equal, post, sleep, socketUrl, user } from './harness.mjs';

const DROPS = Number(process.env.DROPS);
const READERS = 20;
const WRITERS = 3;
const UNBLOCK = 'mutation Unblock($id: ID!) { deleteBlockedSlot(input: {blockedSlotId: $id}) { __typename } }';

// A seeded chance, so that a run that fails can be run again.
let state = Number(process.env.SEED) >>> 0;
function chance() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}

class Reader {
  constructor(after) {
    this.seen = [];
    this.drops = 0;
    this.socket = null;
    this.payload = { query: CHANGES, variables: { user, after } };
    this.client = createClient({
      url: socketUrl,
      webSocketImpl: WebSocket,
      connectionParams,
      retryAttempts: Infinity,
      retryWait: async () => {},
      shouldRetry: () => true,
      on: {
        connecting: () => (this.socket = null),
        connected: (socket) => (this.socket = socket),
      },
    });
    this.over = new Promise((resolve, reject) => {
      this.client.subscribe(this.payload, {
        next: ({ data, errors }) => {
          if (errors) return reject(new Error(JSON.stringify(errors)));
          const change = data.blockedSlotChanges;
          this.payload.variables.after = change.cursor;
          this.seen.push(change.cursor);
          if (change.cursor === this.until) resolve();
        },
        error: (problem) => reject(new Error(JSON.stringify(problem))),
        complete: () => reject(new Error('the server completed the subscription')),
      });
    });
    this.over.catch(() => {});
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    this.drops++;
    // As a phone in a tunnel, or as a page that gives its socket up.
    if (chance() < 0.5) socket.terminate();
    else this.client.terminate();
  }

  async beDropped(times) {
    while (this.drops < times) {
      const wanted = this.seen.length + Math.floor(chance() * 4);
      for (let waited = 0; this.seen.length < wanted && waited < 60; waited++) await sleep(5);
      while (!this.socket) await sleep(1);
      this.drop();
    }
  }
}

let writing = true;
async function write() {
  while (writing) {
    const made = (await post(BLOCK, { input: anHour() })).data.createBlockedSlot.blockedSlot;
    if (chance() < 0.6) await post(UNBLOCK, { id: made.id });
    await sleep(chance() * 20);
  }
}

const began = Date.now();
const start = await cursor();
const readers = Array.from({ length: READERS }, () => new Reader(start));
const writers = Array.from({ length: WRITERS }, write);
await Promise.all(readers.map((reader) => reader.beDropped(Math.ceil(DROPS / READERS))));
writing = false;
await Promise.all(writers);
const last = await cursor();
const truth = new Reader(start);
for (const reader of [...readers, truth]) {
  reader.until = last;
  if (reader.payload.variables.after !== last) await reader.over;
}
for (const [number, reader] of readers.entries()) {
  equal(new Set(reader.seen).size, reader.seen.length, `reader ${number} saw something twice`);
  equal(reader.seen, truth.seen, `reader ${number} missed something`);
}
const drops = readers.reduce((sum, reader) => sum + reader.drops, 0);
assert(drops >= DROPS, `${drops} drops`);
console.log(JSON.stringify({ drops, changes: truth.seen.length, seconds: (Date.now() - began) / 1000 }));
process.exit(0);
