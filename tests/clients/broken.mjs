// graphql-ws as it comes, against a server whose first socket breaks.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { VIEWER, connectionParams, equal, socketUrl, tell } from './harness.mjs';

await tell({
  'what breaks on the side of the server is come back from': async () => {
    const codes = [];
    const on = { closed: ({ code }) => codes.push(code) };
    const client = createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams, on });
    const { value } = await client.iterate({ query: VIEWER }).next();
    equal(value, { data: { viewer: { role: 'OWNER' } } }, 'answer');
    equal(codes, [1013], 'codes');
    await client.dispose();
  },
});
