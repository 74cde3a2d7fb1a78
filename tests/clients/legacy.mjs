// subscriptions-transport-ws, the client of the old `graphql-ws` subprotocol: refused, and told so.
import { SubscriptionClient } from 'subscriptions-transport-ws';
import WebSocket from 'ws';
import { VIEWER, connectionParams, equal, socketUrl, tell } from './harness.mjs';

await tell({
  'it is closed with 4406 and shown nothing': async () => {
    const told = [];
    const code = await new Promise((resolve) => {
      class Watched extends WebSocket {
        constructor(...given) {
          super(...given);
          this.on('close', resolve);
          this.on('message', (message) => told.push(String(message)));
        }
      }
      // By itself it gives a server one second to let it in: a busy machine takes longer.
      const options = { connectionParams, minTimeout: 30_000 };
      const client = new SubscriptionClient(socketUrl, options, Watched);
      client.request({ query: VIEWER }).subscribe({ next: (value) => told.push(value), error() {} });
    });
    equal([code, told], [4406, []], 'close code, and what was shown');
  },
});
