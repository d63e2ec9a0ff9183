// The official JavaScript SDK, told by lines of JSON on the standard input what to do; what it
// reports goes to the standard output, a line of JSON each.
import { createInterface } from 'node:readline';
import WebSocket from 'ws';

const [url, encoding] = process.argv.slice(2);
const sdk = await import(encoding === 'protobuf' ? 'centrifuge/build/protobuf' : 'centrifuge');
const { Centrifuge } = sdk.default ?? sdk;

const say = (event, facts = {}) => process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
const read = (data) => data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data)) : data;
let answer = () => {};

const client = new Centrifuge(url, {
  websocket: WebSocket,
  minReconnectDelay: 20,
  maxReconnectDelay: 100,
  getToken: () => new Promise((resolve) => { answer = resolve; say('token'); }),
});
client.on('connecting', (ctx) => say('connecting', { code: ctx.code }));
client.on('connected', (ctx) => say('connected', { client: ctx.client }));
client.on('disconnected', (ctx) => say('disconnected', { code: ctx.code }));
client.on('error', (ctx) => say('error', { code: ctx.error.code }));
client.on('publication', (ctx) => say('personal', { channel: ctx.channel, data: read(ctx.data) }));

const subscriptions = new Map();
function subscribe({ channel, since }) {
  const sub = client.newSubscription(channel, since ? { since } : {});
  subscriptions.set(channel, sub);
  sub.on('subscribed', (ctx) => say('subscribed', {
    wasRecovering: ctx.wasRecovering, recovered: ctx.recovered, data: read(ctx.data),
    position: ctx.streamPosition,
  }));
  sub.on('unsubscribed', (ctx) => say('unsubscribed', { code: ctx.code }));
  sub.on('publication', (ctx) => say('publication', { data: read(ctx.data), offset: ctx.offset }));
  sub.subscribe();
}

const commands = {
  connect: () => client.connect(),
  disconnect: () => client.disconnect(),
  token: ({ token }) => answer(token),
  subscribe,
  presence: async ({ channel }) => {
    const { clients } = await subscriptions.get(channel).presence();
    say('presence', { clients: Object.values(clients).map((each) => read(each.connInfo)) });
  },
  history: async ({ channel, limit }) => {
    const { publications } = await subscriptions.get(channel).history({ limit });
    say('history', { data: publications.map((each) => read(each.data)) });
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  Promise.resolve(commands[command.do](command)).catch((error) => say('failed', { code: error.code }));
}
process.exit(0);
