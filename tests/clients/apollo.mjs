// Apollo Client 4: over HTTP, over multipart subscriptions, over graphql-ws, and with persisted documents by GET.
import { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, ServerError, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { BLOCK, CHANGES, VIEWER, anHour, assert, block, connectionParams, cursor, equal, headers, sha256, socketUrl, tell, url, user, within } from './harness.mjs';

const over = (link) => new ApolloClient({ link, cache: new InMemoryCache() });
const http = (options = {}) => over(new HttpLink({ uri: url, headers, ...options }));

async function follows(client) {
  const told = [];
  const variables = { user, after: await cursor() };
  let wake;
  const subscription = client.subscribe({ query: gql(CHANGES), variables }).subscribe({
    next: (result) => {
      told.push(result);
      wake?.();
    },
    error: (error) => {
      told.push({ error });
      wake?.();
    },
  });
  const made = [await block(), await block()];
  while (told.length < made.length) await within(60, new Promise((resolve) => (wake = resolve)), 'a change');
  for (const result of told) assert(!result.error, String(result.error));
  equal(told.map((result) => result.data.blockedSlotChanges.slot.id), made, 'changes');
  subscription.unsubscribe();
}

await tell({
  'a query and a mutation': async () => {
    equal((await http().query({ query: gql(VIEWER) })).data.viewer.role, 'OWNER', 'role');
    const { data } = await http().mutate({ mutation: gql(BLOCK), variables: { input: anHour() } });
    equal(data.createBlockedSlot.__typename, 'BlockedSlotCreated', 'answer');
  },

  'a request error with its code': async () => {
    const error = await http().query({ query: gql('{ nothing }') }).catch((problem) => problem);
    assert(CombinedGraphQLErrors.is(error), String(error));
    equal(error.errors[0].extensions.code, 'BAD_REQUEST', 'code');
  },

  'a wrong key': async () => {
    const client = http({ headers: { authorization: `Bearer sw_owner_${'x'.repeat(43)}` } });
    const error = await client.query({ query: gql(VIEWER) }).catch((problem) => problem);
    const code = CombinedGraphQLErrors.is(error) ? error.errors[0].extensions.code : ServerError.is(error) && error.statusCode;
    equal(code, 'UNAUTHENTICATED', 'code');
  },

  'a subscription over multipart': async () => follows(http()),

  'a subscription that is refused over multipart': async () => {
    const error = await within(
      60,
      new Promise((resolve) => {
        http()
          .subscribe({ query: gql(CHANGES), variables: { user: 'nobody' } })
          .subscribe({ next: (result) => result.error && resolve(result.error), error: resolve });
      }),
      'the refusal',
    );
    equal(error.errors[0].extensions.code, 'NOT_FOUND', 'code');
  },

  'a subscription over graphql-ws': async () => {
    const socket = createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams });
    await follows(over(new GraphQLWsLink(socket)));
    await socket.dispose();
  },

  'persisted documents: sent once, then asked for by GET': async () => {
    const methods = [];
    const counting = async (where, options) => {
      const response = await fetch(where, options);
      methods.push(`${options.method} ${response.status}`);
      return response;
    };
    const query = gql('query Persisted { viewer { role user { name } } }');
    for (let round = 0; round < 2; round++) {
      const client = over(
        new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(
          new HttpLink({ uri: url, headers, fetch: counting }),
        ),
      );
      equal((await client.query({ query })).data.viewer.role, 'OWNER', 'role');
    }
    equal(methods, ['GET 400', 'POST 200', 'GET 200'], 'requests');
  },
});
