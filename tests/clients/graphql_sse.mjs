// graphql-sse, the client of server-sent events, with one connection an operation.
import { createClient } from 'graphql-sse';
import { BLOCK, CHANGES, VIEWER, anHour, assert, block, cursor, equal, followAsShown, headers, sleep, tell, url, user, within } from './harness.mjs';

const make = (options = {}) => createClient({ url, headers, retryAttempts: 0, ...options });

async function one(client, payload) {
  const results = client.iterate(payload);
  const { value } = await within(60, results.next(), 'a result');
  const rest = await within(60, results.next(), 'the end');
  assert(rest.done, 'the server did not complete');
  return value;
}

async function failing(client, payload) {
  try {
    const { value } = await client.iterate(payload).next();
    return value;
  } catch (error) {
    return error;
  }
}

await tell({
  'a query and a mutation, each answered and completed': async () => {
    equal(await one(make(), { query: VIEWER }), { data: { viewer: { role: 'OWNER' } } }, 'answer');
    const made = await one(make(), { query: BLOCK, variables: { input: anHour() } });
    equal(made.data.createBlockedSlot.__typename, 'BlockedSlotCreated', 'answer');
  },

  'a subscription is told of each change in order': async () => {
    const results = make().iterate({ query: CHANGES, variables: { user, after: await cursor() } });
    const made = [await block(), await block(), await block()];
    for (const id of made) {
      const { value } = await within(60, results.next(), 'a change');
      equal(value.data.blockedSlotChanges.slot.id, id, 'slot');
    }
    await results.return();
  },

  'a document that can not be run is told as an answer, and completed': async () => {
    const answer = await one(make(), { query: '{ nothing }' });
    equal(answer.errors[0].extensions.code, 'BAD_REQUEST', 'code');
  },

  'a subscription that is refused is told why, and completed': async () => {
    const answer = await one(make(), { query: CHANGES, variables: { user: 'nobody' } });
    equal(answer.errors[0].extensions.code, 'NOT_FOUND', 'code');
  },

  'a wrong key is 401': async () => {
    const client = make({ headers: { authorization: `Bearer sw_owner_${'x'.repeat(43)}` } });
    equal((await failing(client, { query: VIEWER })).response.status, 401, 'status');
  },

  'single-connection mode is refused': async () => {
    const client = make({ singleConnection: true });
    equal((await failing(client, { query: VIEWER })).response.status, 405, 'status');
  },

  'what came meanwhile is there after a drop, by keeping the cursor as the manual shows': async () => {
    const aborts = [];
    const fetchFn = (where, options) => {
      const controller = new AbortController();
      aborts.push(() => controller.abort());
      options.signal?.addEventListener('abort', () => controller.abort());
      return fetch(where, { ...options, signal: controller.signal });
    };
    const client = make({ fetchFn, retryAttempts: 10, retry: async () => {} });
    const seen = [];
    await followAsShown(client, (change) => seen.push(change.slot.id));
    const made = [await block()];
    while (!seen.length) await sleep(20);
    aborts.at(-1)();
    made.push(await block(), await block());
    while (seen.length < made.length) await sleep(20);
    equal(seen, made, 'changes');
    client.dispose();
  },
});
