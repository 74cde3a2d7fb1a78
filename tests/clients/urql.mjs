// urql 5, whose stock client lists event streams in the Accept of all that it sends.
import { Client, fetchExchange, subscriptionExchange } from 'urql';
import { persistedExchange } from '@urql/exchange-persisted';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { BLOCK, CHANGES, VIEWER, anHour, assert, block, connectionParams, cursor, equal, headers, socketUrl, tell, url, user, within } from './harness.mjs';

const make = (options = {}) =>
  new Client({
    url,
    fetchOptions: { headers },
    exchanges: [fetchExchange],
    preferGetMethod: false,
    requestPolicy: 'network-only',
    ...options,
  });

async function follows(client) {
  const told = [];
  let wake;
  const { unsubscribe } = client.subscription(CHANGES, { user, after: await cursor() }).subscribe((result) => {
    told.push(result);
    wake?.();
  });
  const made = [await block(), await block()];
  while (told.length < made.length) await within(60, new Promise((resolve) => (wake = resolve)), 'a change');
  for (const result of told) assert(!result.error, String(result.error));
  equal(told.map((result) => result.data.blockedSlotChanges.slot.id), made, 'changes');
  unsubscribe();
}

await tell({
  'a query and a mutation': async () => {
    equal((await make().query(VIEWER, {})).data, { viewer: { role: 'OWNER' } }, 'answer');
    const { data } = await make().mutation(BLOCK, { input: anHour() });
    equal(data.createBlockedSlot.__typename, 'BlockedSlotCreated', 'answer');
  },

  'a request error with its code': async () => {
    const { error } = await make().query('{ nothing }', {});
    equal(error.graphQLErrors[0].extensions.code, 'BAD_REQUEST', 'code');
  },

  'a subscription over server-sent events': async () => follows(make({ fetchSubscriptions: true })),

  'a subscription that is refused over server-sent events': async () => {
    const client = make({ fetchSubscriptions: true });
    const { error } = await within(
      60,
      new Promise((resolve) => client.subscription(CHANGES, { user: 'nobody' }).subscribe(resolve)),
      'the refusal',
    );
    equal(error.graphQLErrors[0].extensions.code, 'NOT_FOUND', 'code');
  },

  'a subscription over graphql-ws': async () => {
    const socket = createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams });
    const forwardSubscription = (request) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? '' }, sink) }),
    });
    await follows(make({ exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })] }));
    await socket.dispose();
  },

  'persisted documents: sent once, then asked for by GET': async () => {
    const requests = [];
    const counting = async (where, options) => {
      const response = await fetch(where, options);
      const sent = options.method === 'GET' && new URL(where).searchParams.has('query') ? ' with the document' : '';
      requests.push(`${options.method}${sent} ${response.status}`);
      return response;
    };
    for (let round = 0; round < 2; round++) {
      const exchanges = [persistedExchange(), fetchExchange];
      const client = make({ fetch: counting, exchanges, preferGetMethod: 'within-url-limit' });
      equal((await client.query('query Persisted { viewer { user { name } } }', {})).data.viewer.user.name, 'Anna', 'name');
    }
    equal(requests, ['GET 400', 'GET with the document 200', 'GET 200'], 'requests');
  },
});
