// The clients of the FastAPI and Redis tutorial ("How to Build WebSocket Servers
// with FastAPI and Redis"), and what its server promises them. They know
// nothing of any other protocol: what they were not promised, such as events
// and fields of another server, they ignore.
//
//	node clients.mjs http://127.0.0.1:8080
//
// Prints a line per promise; the exit code is 0 if all were kept, else 1.

import { createHmac } from "node:crypto";
import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";
import WebSocket from "ws";

const patience = 10_000; // milliseconds to wait for what was promised

const base = process.argv[2];
if (!base || !URL.canParse(base)) {
  console.error("usage: node clients.mjs BASE-URL, for example http://127.0.0.1:8080");
  process.exit(1);
}
const socketBase = base.replace(/\/$/, "").replace(/^http/, "ws");
const run = Math.random().toString(36).slice(2, 8); // keeps names apart from other runs'

// Client is one connection, and what it has received.
class Client {
  constructor(id, path) {
    this.id = id;
    this.events = []; // all received, oldest first
    this.waiting = new Set();
    this.socket = new WebSocket(socketBase + path);
    this.socket.on("message", (data, binary) => {
      if (binary) throw new Error(`${id}: a binary frame`);
      this.events.push(JSON.parse(data.toString()));
      for (const look of this.waiting) look();
    });
  }

  static async connect(id) {
    const query = id === undefined ? "" : `?client_id=${encodeURIComponent(id)}`;
    const client = new Client(id ?? "a client without id", `/ws${query}`);
    await within(once(client.socket, "open"), `${client.id} connects`);
    return client;
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  // received returns the events that have these fields, whatever else they have.
  received(fields) {
    return this.events.filter((event) => matches(event, fields));
  }

  // receives waits for an event that has these fields, and returns it.
  receives(fields, since = 0) {
    const { promise, resolve } = Promise.withResolvers?.() ?? deferred();
    const look = () => {
      const event = this.events.slice(since).find((event) => matches(event, fields));
      if (event) {
        this.waiting.delete(look);
        resolve(event);
      }
    };
    this.waiting.add(look);
    look();
    return within(promise, `${this.id} receives ${JSON.stringify(fields)}`);
  }

  async close() {
    const closed = once(this.socket, "close");
    this.socket.close();
    await within(closed, `${this.id} closes`);
  }
}

function matches(event, fields) {
  return Object.entries(fields).every(([name, value]) => isDeepStrictEqual(event[name], value));
}

function deferred() {
  let resolve;
  const promise = new Promise((r) => (resolve = r));
  return { promise, resolve };
}

async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${patience / 1000} s: ${what}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function expect(condition, otherwise) {
  if (!condition) throw new Error(otherwise);
}

let failed = 0;

async function promise(text, keep) {
  try {
    await keep();
    console.log(`ok      ${text}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${text}: ${error.message}`);
  }
}

async function stats() {
  const response = await fetch(new URL("/stats", base), { signal: AbortSignal.timeout(patience) });
  expect(response.ok, `GET /stats: status ${response.status}`);
  return response.json();
}

// token is what the tutorial's jwt.decode accepts, with the key it is shown with.
function token(subject) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: subject, name: "Alice" })}`;
  return `${body}.${createHmac("sha256", "your-secret-key").update(body).digest("base64url")}`;
}

let alice, bob;
await promise("clients connect with their client_id", async () => {
  alice = await Client.connect(`alice-${run}`);
  bob = await Client.connect(`bob ${run} ü&=`); // an id that must be escaped
});
if (!bob) process.exit(1); // there is nobody to keep the other promises to
const room = `general-${run}`;
const everyone = [alice, bob];

await promise("the others learn who connects", async () => {
  await alice.receives({ event: "user_connected", user_id: bob.id });
});

await promise("a client without client_id gets one, which the others see", async () => {
  const before = alice.events.length;
  const nameless = await Client.connect();
  const { user_id } = await alice.receives({ event: "user_connected" }, before);
  expect(typeof user_id === "string" && user_id !== "", `user_id ${JSON.stringify(user_id)}`);
  nameless.send({ type: "chat", content: "who am I?" });
  await alice.receives({ event: "chat", from: user_id, content: "who am I?" });
  await nameless.close();
  await alice.receives({ event: "user_disconnected", user_id });
});

await promise("chat reaches everyone but its sender", async () => {
  alice.send({ type: "chat", content: "hello" });
  await bob.receives({ event: "chat", from: alice.id, content: "hello" });
  // Bob's answer is behind it, so that an echo of hello would be there by then.
  bob.send({ type: "chat", content: "hello to you" });
  await alice.receives({ event: "chat", from: bob.id, content: "hello to you" });
  expect(alice.received({ event: "chat", content: "hello" }).length === 0, "the sender got it too");
  expect(bob.received({ event: "chat", content: "hello" }).length === 1, "it came more than once");
  const [{ room: inRoom }] = bob.received({ event: "chat", content: "hello" });
  expect(inRoom === undefined, `it came in room ${inRoom}`);
});

await promise("content passes through unchanged", async () => {
  const content = 'quotes " and \\ slashes / <b> \u0000 \u2028 \n 日本語 🌊';
  alice.send({ type: "chat", content });
  await bob.receives({ event: "chat", from: alice.id, content });
});

await promise("joining a room is announced to its members, the joiner included", async () => {
  alice.send({ type: "join_room", room });
  await alice.receives({ event: "user_joined", user_id: alice.id, room });
  bob.send({ type: "join_room", room });
  for (const client of everyone) await client.receives({ event: "user_joined", user_id: bob.id, room });
});

await promise("a message to a room reaches its members, the sender included", async () => {
  alice.send({ type: "room_message", room, content: "to the room" });
  for (const client of everyone) {
    await client.receives({ event: "chat", from: alice.id, room, content: "to the room" });
  }
});

await promise("a hundred messages to a room arrive once each, in order, at every member", async () => {
  for (let n = 0; n < 100; n++) alice.send({ type: "room_message", room, content: `message ${n}` });
  for (const client of everyone) {
    await client.receives({ event: "chat", room, content: "message 99" });
    const got = client.received({ event: "chat", from: alice.id, room }).map((event) => event.content);
    const want = ["to the room", ...Array.from({ length: 100 }, (_, n) => `message ${n}`)];
    expect(isDeepStrictEqual(got, want), `${client.id} received ${JSON.stringify(got)}`);
  }
});

await promise("who is not a member may send to a room, but gets nothing from it", async () => {
  const carol = await Client.connect(`carol-${run}`);
  carol.send({ type: "room_message", room, content: "from outside" });
  for (const client of everyone) {
    await client.receives({ event: "chat", from: carol.id, room, content: "from outside" });
  }
  alice.send({ type: "room_message", room, content: "to members only" });
  await bob.receives({ event: "chat", room, content: "to members only" });
  carol.send({ type: "join_room", room });
  await carol.receives({ event: "user_joined", user_id: carol.id, room });
  expect(carol.received({ event: "chat", room }).length === 0, "an outsider received the room's messages");
  await carol.close();
});

await promise("a client that leaves is announced to the others", async () => {
  await alice.receives({ event: "user_disconnected", user_id: `carol-${run}` });
});

await promise("a room goes on for its members when one has gone", async () => {
  bob.send({ type: "room_message", room, content: "still here" });
  for (const client of everyone) {
    await client.receives({ event: "chat", from: bob.id, room, content: "still here" });
  }
});

await promise("pong is accepted silently", async () => {
  const before = alice.events.length;
  alice.send({ type: "pong" });
  alice.send({ type: "room_message", room, content: "after the pong" });
  await alice.receives({ event: "chat", room, content: "after the pong" });
  const between = alice.events.slice(before, -1).filter((event) => !("user_id" in event)); // news of others is no answer
  expect(between.length === 0, `it was answered: ${JSON.stringify(between)}`);
});

// The tutorial models these two, but its server lets them pass without effect.
// A server that gives them one must not surprise a client that sent them.
await promise("leave_room and direct_message are accepted", async () => {
  alice.send({ type: "direct_message", target_user: bob.id, content: "between us" });
  alice.send({ type: "join_room", room: `other-${run}` });
  await alice.receives({ event: "user_joined", user_id: alice.id, room: `other-${run}` });
  alice.send({ type: "leave_room", room: `other-${run}` });
  alice.send({ type: "room_message", room, content: "after leaving another room" });
  for (const client of everyone) {
    await client.receives({ event: "chat", from: alice.id, room, content: "after leaving another room" });
  }
  expect(alice.received({ event: "chat", content: "between us" }).length === 0, "the message came back to its sender");
  const direct = bob.received({ content: "between us" });
  expect(direct.length <= 1 && direct.every((event) => matches(event, { event: "chat", from: alice.id })), JSON.stringify(direct));
});

await promise("/ws/secure accepts a token", async () => {
  const client = new Client("a client with a token", `/ws/secure?token=${token("alice")}`);
  await within(once(client.socket, "open"), "/ws/secure is upgraded");
  client.socket.close();
});

await promise("GET /stats counts local connections and rooms", async () => {
  const { local_connections, rooms } = await stats();
  expect(Number.isInteger(local_connections) && local_connections >= everyone.length, `local_connections is ${local_connections}`);
  expect(Number.isInteger(rooms) && rooms >= 1, `rooms is ${rooms}`);
});

await promise("nobody was sent an error, and nobody was disconnected", async () => {
  for (const client of everyone) {
    const errors = client.received({ event: "error" });
    expect(errors.length === 0, `${client.id} received ${JSON.stringify(errors)}`);
    expect(client.socket.readyState === WebSocket.OPEN, `${client.id} was disconnected`);
  }
});

await promise("a client that closes is announced to the others", async () => {
  await alice.close();
  await bob.receives({ event: "user_disconnected", user_id: alice.id });
});

await bob.close();
console.log(failed === 0 ? "all promises kept" : `${failed} promises broken`);
process.exit(failed === 0 ? 0 : 1);
