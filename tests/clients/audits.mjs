// The audits of graphql-http against the server: GraphQL over HTTP, clause by clause.
import { serverAudits } from 'graphql-http';
import { headers, url } from './harness.mjs';

const fetchFn = (where, options = {}) => fetch(where, { ...options, headers: { ...headers, ...options.headers } });

for (const { id, name, fn } of serverAudits({ url, fetchFn })) {
  const result = await fn();
  const story = result.status === 'ok' ? 'ok' : `${result.status}: ${result.reason}`;
  console.log(JSON.stringify({ claim: `${id} ${name}`, story }));
}
