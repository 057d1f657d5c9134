// The host's side of the plugin ABI, for unit tests of filters in Node:
//
//     const filter = await Filter.load("build/debug.wasm", { config: { word: "spam" } });
//     const answer = filter.message("hi");
//     assert.equal(answer.verdict, "continue");
//
// It checks little of what a node checks. `sluice plugin test` runs the built
// module in the real host.
import { readFile } from "node:fs/promises";

const hooks = { configure: 1, connect: 2, join: 3, message: 4, leave: 5, disconnect: 6 };
const kinds = { room: 1, broadcast: 2, direct: 3, new: 1, refresh: 2 };
const verdicts = ["continue", "allow", "deny", "drop", "disconnect"];
const metaKinds = { attribute: 1, header: 2, query: 3, cookie: 4 };
const statuses = { found: 1, missed: 2, failed: 3 };
const inputs = { payload: 40, room: 48, user: 56, target: 64, claims: 72, state: 80, lookup: 104, remote: 112 };
const outputs = { reason: 136, payload: 144, room: 152, user: 168, claims: 176, grants: 184 };
const eventSize = 200;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Thrown where the filter's on_configure refuses its configuration. */
export class Refused extends Error {}

/** A filter, and what a node keeps for it. */
export class Filter {
  /** The lines that it has logged: [level, text]. */
  logged = [];
  /** The clock, Unix milliseconds: of events, and of now(). */
  now = Date.UTC(2026, 0, 2, 3, 4, 5);
  /** What metric_add has added, by name. */
  metrics = {};
  /** What kv_set keeps, by key: bytes. */
  values = new Map();
  /** What counter_add keeps, by key. */
  counters = new Map();
  /** (key, tokens, burst, refill) => what bucket_take answers. */
  bucket = () => 0;
  /** (alg, kid, message, signature) => what verify answers; bytes but for alg and kid. */
  verify = () => -2;

  #states = new Map();
  #seqs = new Map();
  #exports;

  /** Starts a module, a file or its bytes, with a configuration. */
  static async load(module, { config = {} } = {}) {
    const filter = new Filter();
    const bytes = typeof module === "string" || module instanceof URL ? await readFile(module) : module;
    const { instance } = await WebAssembly.instantiate(bytes, filter.#imports());
    filter.#exports = instance.exports;
    filter.#exports._initialize?.();
    if (filter.#exports.on_configure) {
      const answer = filter.#call("configure", { raw: JSON.stringify(config) });
      if (answer.verdict !== "continue") throw new Refused(answer.reason ?? answer.verdict);
    }
    return filter;
  }

  /** Asks about a message; content is any JSON value, or event.raw the exact text. */
  message(content, event = {}) {
    return this.#call("message", { kind: "room", room: event.kind && event.kind !== "room" ? "" : "room", raw: JSON.stringify(content), ...event });
  }
  join(room, event = {}) {
    return this.#call("join", { room, ...event });
  }
  leave(room, event = {}) {
    return this.#call("leave", { room, ...event });
  }
  disconnect(cause, event = {}) {
    return this.#call("disconnect", { cause, ...event });
  }
  /** Asks about a connection; event has path, host, origin, headers, query and cookies. */
  connect(event = {}) {
    return this.#call("connect", { kind: "new", user: "", path: "/ws", ...event });
  }
  /** Asks about a token that renews an identity. */
  refresh(token, event = {}) {
    return this.#call("connect", { kind: "refresh", raw: token, ...event });
  }

  #call(hook, event) {
    const { conn = 1, user = hook === "configure" ? "" : "user" } = event;
    const seq = (this.#seqs.get(conn) ?? 0) + 1;
    const kept = this.#states.get(conn);
    const runs = {
      payload: bytesOf(event.raw ?? ""), room: bytesOf(event.room ?? ""), user: bytesOf(user), target: bytesOf(event.target ?? ""),
      claims: bytesOf(event.claims === undefined ? "" : JSON.stringify(event.claims)), state: kept?.data ?? new Uint8Array(),
      lookup: bytesOf(event.lookup?.found === undefined ? "" : JSON.stringify(event.lookup.found)), remote: bytesOf(event.remote ?? "192.0.2.1"),
    };
    const meta = metaOf(event);
    const all = [...Object.values(runs), ...meta.flatMap((m) => [m.name, m.value])];
    const need = eventSize + 24 + 24 * meta.length + all.reduce((n, run) => n + run.length + 1, 0);
    const base = this.#exports.sluice_buffer(need) >>> 0;
    if (base === 0 || base % 8 !== 0) throw new Error(`sluice_buffer returned ${base} for ${need} bytes`);
    const memory = new Uint8Array(this.#exports.memory.buffer), view = new DataView(memory.buffer);
    memory.fill(0, base, base + eventSize + 8);
    const lookup = event.lookup === "missed" || event.lookup === "failed" ? statuses[event.lookup] : event.lookup ? statuses.found : 0;
    const fixed = [eventSize, hooks[hook], kinds[event.kind] ?? 0, (event.fromServer ? 1 : 0) | (lookup << 1)];
    fixed.forEach((n, i) => view.setUint32(base + 4 * i, n, true));
    view.setBigInt64(base + 16, BigInt(this.now) * 1000000n, true);
    if (hook !== "configure") {
      view.setBigUint64(base + 24, BigInt(conn), true);
      view.setBigUint64(base + 32, BigInt(seq), true);
      this.#seqs.set(conn, seq);
    }
    view.setUint32(base + 88, kept?.version ?? 0, true);
    view.setUint32(base + 92, event.cause ?? 0, true);
    view.setBigInt64(base + 120, BigInt(event.expiresMs ?? 0), true);

    let at = base + eventSize + 8;
    const put = (field, run) => {
      view.setUint32(field, run.length ? at : base + eventSize, true);
      view.setUint32(field + 4, run.length, true);
      memory.set(run, at);
      memory[at + run.length] = 0;
      at += run.length + 1;
    };
    for (const [name, offset] of Object.entries(inputs)) put(base + offset, runs[name]);
    at = (at + 7) & ~7;
    view.setUint32(base + 96, at, true);
    view.setUint32(base + 100, meta.length, true);
    let entry = at;
    at += 24 * meta.length;
    for (const m of meta) {
      view.setUint32(entry, m.kind, true);
      view.setUint32(entry + 4, 0, true);
      put(entry + 8, m.name);
      put(entry + 16, m.value);
      entry += 24;
    }
    const verdict = this.#exports["on_" + hook](base);
    return this.#answer(base, verdict, hook, conn);
  }

  #answer(base, verdict, hook, conn) {
    const view = new DataView(this.#exports.memory.buffer);
    const answer = { verdict: verdict < 0 ? "failure" : verdicts[verdict] ?? `verdict ${verdict}` };
    const run = (offset) => {
      const ptr = view.getUint32(base + offset, true), length = view.getUint32(base + offset + 4, true);
      return ptr === 0 ? undefined : new Uint8Array(view.buffer, ptr, length).slice();
    };
    const refuses = answer.verdict === "deny" || answer.verdict === "disconnect";
    for (const [name, offset] of Object.entries(outputs)) {
      const bytes = run(offset);
      if (bytes !== undefined && (name === "reason") === refuses) answer[name] = decoder.decode(bytes);
    }
    if (refuses) {
      answer.code = view.getUint32(base + 128, true);
      answer.retryMs = view.getUint32(base + 132, true);
    } else if (hook === "connect") {
      answer.expiresMs = Number(view.getBigInt64(base + 192, true));
      if (answer.payload !== undefined) [answer.info, answer.payload] = [answer.payload, undefined];
    }
    const state = run(160);
    if (state !== undefined && verdict >= 0) {
      answer.state = state;
      if (state.length > 0) this.#states.set(conn, { data: state, version: this.#exports.sluice_state_version?.() ?? 0 });
      else this.#states.delete(conn);
    }
    return answer;
  }

  #imports() {
    const bytes = (ptr, length) => new Uint8Array(this.#exports.memory.buffer, ptr >>> 0, length).slice();
    const text = (ptr, length) => decoder.decode(bytes(ptr, length));
    const utf16 = (ptr) => {
      if (ptr === 0) return "";
      const view = new DataView(this.#exports.memory.buffer);
      return new TextDecoder("utf-16le").decode(new Uint8Array(view.buffer, ptr, view.getUint32(ptr - 4, true)));
    };
    return {
      env: {
        abort: (message, file, line, column) => {
          throw new Error(`abort: ${utf16(message)} at ${utf16(file)}:${line}:${column}`);
        },
      },
      sluice: {
        log: (level, ptr, length) => void this.logged.push([["debug", "info", "warn", "error"][level] ?? "info", text(ptr, length)]),
        now: () => BigInt(this.now) * 1000000n,
        random: (ptr, length) => {
          if (length < 0 || length > 65536) return -1;
          new Uint8Array(this.#exports.memory.buffer, ptr, length).forEach((_, i, out) => (out[i] = (i * 197 + 91) & 255)); // the same in every run
          return 0;
        },
        verify: (a, an, k, kn, m, mn, s, sn) => this.verify(text(a, an), text(k, kn), bytes(m, mn), bytes(s, sn)),
        metric_add: (ptr, length, delta) => {
          const name = text(ptr, length);
          if (!/^[a-z_][a-z0-9_]{0,63}$/.test(name) || delta < 0n) return -1;
          this.metrics[name] = (this.metrics[name] ?? 0) + Number(delta);
          return 0;
        },
        counter_add: (ptr, length, delta, windowMs) => {
          const key = text(ptr, length);
          if (length === 0 || length > 255 || windowMs < 0n) return -1n;
          let c = this.counters.get(key);
          if (!c || (windowMs > 0n && this.now >= c.since + Number(windowMs))) c = { value: 0n, since: this.now };
          c.value = c.value + delta < 0n ? 0n : c.value + delta;
          this.counters.set(key, c);
          return c.value;
        },
        bucket_take: (ptr, length, tokens, burst, refill) => BigInt(this.bucket(text(ptr, length), Number(tokens), Number(burst), Number(refill))),
        kv_get: (ptr, length, out, capacity) => {
          const value = this.values.get(text(ptr, length));
          if (value === undefined || (value.until !== 0 && value.until <= this.now)) return -3;
          if (value.data.length <= capacity) new Uint8Array(this.#exports.memory.buffer).set(value.data, out >>> 0);
          return value.data.length;
        },
        kv_set: (ptr, length, value, valueLength, ttlMs) => {
          const key = text(ptr, length);
          if (ttlMs < 0n) this.values.delete(key);
          else this.values.set(key, { data: bytes(value, valueLength), until: ttlMs === 0n ? 0 : this.now + Number(ttlMs) });
          return 0;
        },
      },
    };
  }
}

function bytesOf(value) {
  return typeof value === "string" ? encoder.encode(value) : value;
}

function metaOf(event) {
  const out = [];
  const add = (kind, name, value) => out.push({ kind: metaKinds[kind], name: bytesOf(name), value: bytesOf(value) });
  for (const name of ["path", "host", "origin"]) if (event[name] !== undefined) add("attribute", name, event[name]);
  for (const [name, value] of Object.entries(event.headers ?? {})) add("header", name.toLowerCase(), value);
  for (const [name, value] of Object.entries(event.query ?? {})) add("query", name, value);
  for (const [name, value] of Object.entries(event.cookies ?? {})) add("cookie", name, value);
  return out;
}
