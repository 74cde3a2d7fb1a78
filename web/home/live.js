// A graphql-transport-ws client in one function: subscribes, answers pings, and comes back after a drop.
const FATAL = new Set([4400, 4401, 4403, 4406]); // The request or the key is wrong: the same again would be refused again.
const SILENT = 40_000; // The server pings after 15 s of silence: after a machine slept, nobody tells the page that the line is dead.

/**
 * `subscriptions` are `{query, variables(), onData}`; variables are asked for at each connect, so that a cursor seen
 * meanwhile is where it goes on. `onState` hears "connecting", "live" and "refused".
 */
export function follow({ url, key, subscriptions, onState }) {
  let attempt = 0;

  function connect() {
    onState("connecting");
    const socket = new WebSocket(url, "graphql-transport-ws");
    let silence;
    const hear = () => {
      clearTimeout(silence);
      silence = setTimeout(() => (socket.onclose({}), socket.close()), SILENT);
    };
    const send = (message) => socket.send(JSON.stringify(message));
    const answers = {
      connection_ack() {
        attempt = 0;
        onState("live");
        subscriptions.forEach(({ query, variables }, id) =>
          send({ id: String(id), type: "subscribe", payload: { query, variables: variables() } }),
        );
      },
      ping: () => send({ type: "pong" }),
      next: ({ id, payload }) => payload.data && subscriptions[id].onData(payload.data),
      error: ({ payload }) => onState("refused", payload[0].message),
    };
    socket.onopen = () => send({ type: "connection_init", payload: { authorization: `Bearer ${key}` } });
    socket.onmessage = ({ data }) => {
      hear();
      const message = JSON.parse(data);
      answers[message.type]?.(message);
    };
    socket.onclose = ({ code, reason }) => {
      clearTimeout(silence);
      socket.onmessage = socket.onclose = null;
      if (FATAL.has(code)) return onState("refused", reason);
      setTimeout(connect, Math.min(1000 * 2 ** attempt++, 15_000) * (0.75 + Math.random() / 2));
      return onState("connecting");
    };
    hear();
  }

  connect();
}
