// How a client reaches the server: one key, over HTTP and over a websocket. In a browser leave `webSocketImpl` out.
import { ApolloClient, HttpLink, InMemoryCache } from "@apollo/client";
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient, type Client as LiveClient } from "graphql-ws";
import WebSocket from "ws";

export interface Server {
  url: string;
  key: string;
}

const SILENT_MS = 40_000; // The server pings after 15 s of silence.

/**
 * Connects again for as long as the page is open; a key that was revoked ends it, with code 4403. A line on which
 * nothing is heard, not even a ping, is given up: a machine that slept is told by nobody that it is gone.
 */
export function live({ url, key }: Server): LiveClient {
  let silence: ReturnType<typeof setTimeout> | undefined;
  const hush = () => clearTimeout(silence);
  const hear = () => {
    hush();
    silence = setTimeout(() => client.terminate(), SILENT_MS);
  };
  const client = createClient({
    url: url.replace(/^http/, "ws"),
    connectionParams: { authorization: `Bearer ${key}` },
    webSocketImpl: WebSocket,
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: (retries) => new Promise((done) => setTimeout(done, Math.min(100 * 2 ** retries, 5_000))),
    shouldRetry: (reason) => !(reason instanceof Object && "code" in reason && reason.code === 4403),
    on: { opened: hear, message: hear, closed: hush },
  });
  return client;
}

export function urql(server: Server, socket: LiveClient): UrqlClient {
  return new UrqlClient({
    url: server.url,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${server.key}` } },
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? "", variables }, sink) }),
        }),
      }),
    ],
  });
}

export function apollo({ url, key }: Server): ApolloClient {
  return new ApolloClient({
    link: new HttpLink({ uri: url, headers: { authorization: `Bearer ${key}` } }),
    cache: new InMemoryCache(),
    defaultOptions: { query: { fetchPolicy: "no-cache" } },
  });
}
