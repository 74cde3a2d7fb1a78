// Sends operations to this server: queries and mutations over HTTP, subscriptions over a websocket.
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { Kind, parse } from "graphql";

const HTTP_URL = new URL("/graphql", location.href);
const WEBSOCKET_URL = new URL(HTTP_URL);
WEBSOCKET_URL.protocol = HTTP_URL.protocol === "https:" ? "wss:" : "ws:";

/**
 * The key goes into the HTTP header and into connection_init alike; the headers editor overrides it. `onData` sees the
 * data of what queries and mutations answer.
 */
export function fetcherFor(key, onData) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const send = createGraphiQLFetcher({
    url: HTTP_URL.href,
    headers,
    subscriptionUrl: WEBSOCKET_URL.href,
    wsConnectionParams: headers,
    enableIncrementalDelivery: false,
  });
  return async (operation, options) => {
    const { operationName, documentAST } = readNow(operation, options);
    const headers = lowerCased(options?.headers);
    const answer = await send({ ...operation, operationName }, { ...options, documentAST, headers });
    if (answer.data) onData(answer.data);
    return Symbol.asyncIterator in answer ? told(answer) : answer;
  };
}

/** A socket that does not open fails with the browser's own Event, which tells a reader nothing. */
function told(results) {
  const lost = (problem) => {
    throw problem instanceof Event ? new Error("The connection to the server was lost: run it again.") : problem;
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => results.next().catch(lost),
    return: () => results.return(),
  };
}

/** The editor parses a moment after the last key; run at once after changing tabs, it would send by the old parse. */
function readNow({ query, operationName }, options) {
  try {
    const documentAST = parse(query);
    const [first, ...more] = documentAST.definitions.filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    return { documentAST, operationName: more.length > 0 ? operationName : first?.name?.value };
  } catch {
    return { documentAST: options?.documentAST, operationName }; // A syntax error is the server's to explain.
  }
}

/** `Authorization` beside our `authorization` would be sent as one header with two values. */
function lowerCased(headers = {}) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
