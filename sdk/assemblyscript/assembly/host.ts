import { Bytes } from "./bytes";
import { take } from "./memory";

// A module imports those functions that it calls, and its configuration has to
// grant them. Of the numbers that they answer, those below 0 are of Failed.

// @ts-ignore: decorator
@external("sluice", "log") declare function importLog(level: i32, ptr: u32, length: i32): void;
// @ts-ignore: decorator
@external("sluice", "now") declare function importNow(): i64;
// @ts-ignore: decorator
@external("sluice", "random") declare function importRandom(ptr: usize, length: i32): i32;
// @ts-ignore: decorator
@external("sluice", "verify") declare function importVerify(alg: u32, algLength: i32, kid: u32, kidLength: i32, message: u32, messageLength: i32, signature: u32, signatureLength: i32): i32;
// @ts-ignore: decorator
@external("sluice", "metric_add") declare function importMetricAdd(name: u32, nameLength: i32, delta: i64): i32;
// @ts-ignore: decorator
@external("sluice", "counter_add") declare function importCounterAdd(key: u32, keyLength: i32, delta: i64, windowMs: i64): i64;
// @ts-ignore: decorator
@external("sluice", "bucket_take") declare function importBucketTake(key: u32, keyLength: i32, tokens: i64, burst: i64, refillPerSecond: i64): i64;
// @ts-ignore: decorator
@external("sluice", "kv_get") declare function importKvGet(key: u32, keyLength: i32, out: usize, capacity: i32): i32;
// @ts-ignore: decorator
@external("sluice", "kv_set") declare function importKvSet(key: u32, keyLength: i32, value: u32, valueLength: i32, ttlMs: i64): i32;

/** Why a function of the host did not do it. */
export enum Failed {
  /** An argument is out of its range. */
  Argument = -1,
  /** This node does not have it. */
  Unsupported = -2,
  NotFound = -3,
  /** Over a quota of the filter. */
  Quota = -4,
  /** For the moment. */
  Unavailable = -5,
}

export enum Level {
  Debug = 0,
  Info = 1,
  Warn = 2,
  Error = 3,
}

/** What verify answers; Failed.Unsupported: the filter has no keys. */
export enum Verified {
  No = 0,
  Yes = 1,
}

/** A line for the node's log. Capability log. */
export function log<T>(level: Level, line: T): void {
  const b = Bytes.of<T>(line);
  importLog(level, b.ptr, b.length);
}

/** This moment, Unix nanoseconds; an event's own time is its timeNs. Capability now. */
export function now(): i64 {
  return importNow();
}

/** So many random bytes, fit for keys, at most 64 KiB; valid until the hook returns. Capability random. */
export function random(length: i32): Bytes {
  const b = Bytes.alloc(length);
  if (fillRandom(b) != 0) throw new RangeError("at most 65536 random bytes at once");
  return b;
}

/** Fills bytes with random ones; 0, or an error. Capability random. */
export function fillRandom(b: Bytes): i32 {
  return importRandom(b.ptr, b.length);
}

/**
 * Whether one of the filter's keys verifies the signature of the message:
 * Verified, or an error. alg is a JWS algorithm, kid may be empty. Granted by
 * keys.
 */
export function verify<A, K, M, S>(alg: A, kid: K, message: M, signature: S): i32 {
  const a = Bytes.of<A>(alg), k = Bytes.of<K>(kid), m = Bytes.of<M>(message), s = Bytes.of<S>(signature);
  return importVerify(a.ptr, a.length, k.ptr, k.length, m.ptr, m.length, s.ptr, s.length);
}

/** Adds to a metric of the node; 0, or an error. name is [a-z_][a-z0-9_]*. Capability metric_add. */
export function metricAdd<N>(name: N, delta: i64 = 1): i32 {
  const n = Bytes.of<N>(name);
  return importMetricAdd(n.ptr, n.length, delta);
}

/**
 * Adds to a counter that all instances of the filter on the node share; its new
 * value, or an error. It starts anew windowMs after the first addition; with 0,
 * never. Capability counter_add.
 */
export function counterAdd<K>(key: K, delta: i64 = 1, windowMs: i64 = 0): i64 {
  const k = Bytes.of<K>(key);
  return importCounterAdd(k.ptr, k.length, delta, windowMs);
}

/**
 * Takes tokens out of a bucket that all instances of the filter on the node
 * share: 0 taken; above 0 not taken, and the milliseconds until they could be; or
 * an error. Capability bucket_take.
 */
export function bucketTake<K>(key: K, tokens: i64, burst: i64, refillPerSecond: i64): i64 {
  const k = Bytes.of<K>(key);
  return importBucketTake(k.ptr, k.length, tokens, burst, refillPerSecond);
}

/** The value that kvSet has put; null: there is none. Valid until the hook returns. Capability kv_get. */
export function kvGet<K>(key: K): Bytes | null {
  const k = Bytes.of<K>(key);
  let capacity = 256;
  while (true) {
    const to = take(capacity), n = importKvGet(k.ptr, k.length, to, capacity);
    if (n < 0) return null;
    if (n <= capacity) return Bytes.at(to, n);
    capacity = n;
  }
}

/**
 * Keeps a value on the node for all instances of the filter, for ttlMs or, with
 * 0, for ever; below 0 deletes it. 0, or an error. Capability kv_set.
 */
export function kvSet<K, V>(key: K, value: V, ttlMs: i64 = 0): i32 {
  const k = Bytes.of<K>(key), v = Bytes.of<V>(value);
  return importKvSet(k.ptr, k.length, v.ptr, v.length, ttlMs);
}
