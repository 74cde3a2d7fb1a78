// graphql-ws, the client that Apollo, urql, Relay and GraphiQL use over websockets.
import { connect, createServer } from 'node:net';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { CHANGES, VIEWER, assert, block, connectionParams, cursor, equal, followAsShown, manual, socketUrl, tell, user, within } from './harness.mjs';

const make = (options = {}) =>
  createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0, ...options });

async function one(client, payload) {
  const results = client.iterate(payload);
  const { value } = await within(60, results.next(), 'a result');
  await results.return();
  return value;
}

const closing = (options) =>
  new Promise((resolve) => {
    const client = make({ ...options, on: { closed: resolve } });
    client.subscribe({ query: VIEWER }, { next() {}, error() {}, complete() {} });
  });

/** A port that refuses until it is opened: then it leads to the server. */
async function closedPort() {
  const server = createServer((from) => {
    const to = connect(Number(new URL(socketUrl).port), '127.0.0.1');
    from.pipe(to).pipe(from);
  });
  const listen = (at) => new Promise((resolve) => server.listen(at, '127.0.0.1', () => resolve(server.address().port)));
  const port = await listen(0);
  await new Promise((resolve) => server.close(resolve));
  return { port, open: () => listen(port) };
}

const [, ofTheManual] = manual.match(/import \{ createClient \} from 'graphql-ws';\n(.*?)```/s);

/** The manual's client, with `changed` options; `setTimeout` is what it waits for silence by. */
function makeAsShown(changed, setTimeout = globalThis.setTimeout) {
  const createClient = (options) => make({ ...options, ...changed, on: { ...options.on, ...changed.on } });
  const key = connectionParams.authorization.slice('Bearer '.length);
  return new Function('createClient', 'key', 'setTimeout', `${ofTheManual} return client`)(createClient, key, setTimeout);
}

await tell({
  'a query and its answer': async () => {
    const client = make();
    equal(await one(client, { query: VIEWER }), { data: { viewer: { role: 'OWNER' } } }, 'answer');
    await client.dispose();
  },

  'a subscription is told of a change': async () => {
    const client = make();
    const results = client.iterate({ query: CHANGES, variables: { user, after: await cursor() } });
    const id = await block();
    const { value } = await within(60, results.next(), 'a change');
    equal(value.data.blockedSlotChanges.slot.id, id, 'slot');
    await client.dispose();
  },

  'a bad document ends itself, and the socket goes on': async () => {
    let closes = 0;
    const client = make({ lazy: false, on: { closed: () => closes++ } });
    const changes = client.iterate({ query: CHANGES, variables: { user, after: await cursor() } });
    for (const query of ['{', '{ nothing }', 'query A { viewer { role } } query B { viewer { role } }']) {
      const error = await one(client, { query }).catch((errors) => errors);
      assert(Array.isArray(error) && error[0].extensions.code === 'BAD_REQUEST', JSON.stringify(error));
    }
    await block();
    assert((await within(60, changes.next(), 'a change')).value.data, 'the subscription ended');
    equal(closes, 0, 'closes');
    await client.dispose();
  },

  'a wrong key is closed with 4403': async () => {
    equal((await closing({ connectionParams: { authorization: `Bearer sw_owner_${'x'.repeat(43)}` } })).code, 4403, 'code');
  },

  'a payload of null is an init without a key': async () => {
    equal((await closing({ connectionParams: undefined })).code, 4403, 'code');
  },

  'it pings the server and is answered': async () => {
    let client;
    const received = await new Promise((resolve) => {
      client = make({ lazy: false, keepAlive: 50, on: { pong: resolve } });
    });
    equal(received, true, 'pong');
    await client.dispose();
  },

  'what came meanwhile is there after a drop, by keeping the cursor as the manual shows': async () => {
    const client = make({ retryAttempts: 10, retryWait: async () => {}, shouldRetry: () => true });
    const seen = [];
    await followAsShown(client, (change) => seen.push(change.slot.id));
    const made = [await block()];
    while (!seen.length) await new Promise((resolve) => setTimeout(resolve, 20));
    client.terminate();
    made.push(await block(), await block());
    while (seen.length < made.length) await new Promise((resolve) => setTimeout(resolve, 20));
    equal(seen, made, 'changes');
    await client.dispose();
  },

  'made as the manual says, it comes back to a server that was away': async () => {
    const { port, open } = await closedPort();
    let opened;
    const client = makeAsShown({
      url: `ws://127.0.0.1:${port}/graphql`,
      retryWait: async () => (opened ||= await open()),
    });
    equal(await one(client, { query: VIEWER }), { data: { viewer: { role: 'OWNER' } } }, 'answer');
    equal(opened, port, 'opened');
    await client.dispose();
  },

  'the client of the manual leaves a line on which nothing is heard': async () => {
    let beSilent;
    let connects = 0;
    const shown = { url: socketUrl, retryWait: async () => {}, on: { connected: () => connects++ } };
    const client = makeAsShown(shown, (gone) => (beSilent = gone));
    const request = { query: CHANGES, variables: { user, after: await cursor() } };
    const changes = client.iterate(request);
    const first = changes.next();
    const ids = [await block()];
    const { value } = await within(60, first, 'a change');
    request.variables.after = value.data.blockedSlotChanges.cursor;
    beSilent();
    ids.push(await block());
    const { value: next } = await within(60, changes.next(), 'a change on the next line');
    equal([value, next].map(({ data }) => data.blockedSlotChanges.slot.id), ids, 'slots');
    equal(connects, 2, 'connects');
    await client.dispose();
  },
});
