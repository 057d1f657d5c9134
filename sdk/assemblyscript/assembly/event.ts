import { Bytes } from "./bytes";
import { SEEN } from "./memory";

/** What a hook returns. deny and disconnect, methods of Event, carry a code and a reason. */
export enum Verdict {
  /** This filter cannot tell; what follows is the configuration's on_failure. */
  Fail = -1,
  /** Go on with the next filter. */
  Continue = 0,
  /** Skip the rest of the chain, where the configuration lets the filter. */
  Allow = 1,
  Deny = 2,
  /** Refuse a message while its sender believes that it was accepted. */
  Drop = 3,
  Disconnect = 4,
}

/** Codes of a denial. 1000 to 3999 are a filter's own. */
export enum Code {
  BadRequest = 400,
  Unauthorized = 401,
  Forbidden = 403,
  NotFound = 404,
  Conflict = 409,
  TooLarge = 413,
  Invalid = 422,
  RateLimited = 429,
  Unavailable = 503,
}

export enum Hook {
  Configure = 1,
  Connect = 2,
  Join = 3,
  Message = 4,
  Leave = 5,
  Disconnect = 6,
}

/** Kinds of a message event, and of a connect event. */
export enum Kind {
  /** To the members of a room. */
  Room = 1,
  /** To everyone. */
  Broadcast = 2,
  /** To the user that target names. */
  Direct = 3,
  /** Connect: a new connection. */
  New = 1,
  /** Connect: payload is a token that renews the identity. */
  Refresh = 2,
}

/** Why a room was left. The cause of a disconnect event is its close code. */
export enum Cause {
  Left = 0,
  Disconnected = 1,
  Removed = 2,
}

/** How the lookup of the filter's entry ended. */
export enum Lookup {
  None = 0,
  Found = 1,
  Missed = 2,
  Failed = 3,
}

/** Where a value of the upgrade request comes from. */
export enum MetaKind {
  /** path, host, origin */
  Attribute = 1,
  /** Names are in lower case. */
  Header = 2,
  Query = 3,
  Cookie = 4,
}

/** Maxima of outputs, in bytes. Beyond them the event fails. */
export enum Max {
  Content = 65536,
  /** User, room. */
  Name = 255,
  Reason = 512,
  Info = 4096,
  /** Also grants. */
  Claims = 16384,
  /** Unless the configuration allows more. */
  State = 1024,
}

/** One value of the upgrade request. */
// @ts-ignore: decorator
@unmanaged @final
export class Meta {
  readonly kind: MetaKind;
  private _zero: u32;
  private _name: u64;
  private _value: u64;
  private constructor() {}
  get name(): Bytes {
    return view(this, offsetof<Meta>("_name"));
  }
  get value(): Bytes {
    return view(this, offsetof<Meta>("_value"));
  }
}

/**
 * One thing to judge: the question and, beside it, the answer. The host writes
 * it into the filter's memory, so reading it costs nothing. Outputs given as
 * strings, arrays or Text are read after the hook has returned.
 */
// @ts-ignore: decorator
@unmanaged @final
export class Event {
  private _size: u32;
  /** Which hook was called. */
  readonly hook: Hook;
  /** What kind of message or connect it is. */
  readonly kind: Kind;
  private _flags: u32;
  /** When it happened, Unix nanoseconds. It stands still while the event is judged. */
  readonly timeNs: i64;
  /** The connection; 0: none. */
  readonly conn: u64;
  /** Counts the connection's events, from 1. */
  readonly seq: u64;
  private _payload: u64;
  private _room: u64;
  private _user: u64;
  private _target: u64;
  private _claims: u64;
  private _state: u64;
  /** The state version of the filter that wrote the state. */
  readonly stateVersion: u32;
  /** Leave: a Cause. Disconnect: the close code. */
  readonly cause: u32;
  private _meta: u32;
  /** How many values of the upgrade request there are. */
  readonly metaCount: i32;
  private _lookup: u64;
  private _remote: u64;
  /** When the identity expires, Unix milliseconds; 0: never. */
  readonly expiresMs: i64;

  private _outCode: u32;
  private _outRetryMs: u32;
  private _outReason: u64;
  private _outPayload: u64;
  private _outRoom: u64;
  private _outState: u64;
  private _outUser: u64;
  private _outClaims: u64;
  private _outGrants: u64;
  private _outExpiresMs: i64;

  private constructor() {}

  // ---- The question ----

  /** The flags as the host wrote them. */
  get flags(): u32 {
    return this._flags & ~SEEN;
  }
  /** Whether it comes from the server API rather than from a client. */
  get fromServer(): bool {
    return (this._flags & 1) != 0;
  }
  /** The configuration as JSON, the content of a message as JSON, or the token of a refresh. */
  get payload(): Bytes {
    return view(this, offsetof<Event>("_payload"));
  }
  /** The room that is joined, left or sent to. */
  get room(): Bytes {
    return view(this, offsetof<Event>("_room"));
  }
  /** Whose connection it is. */
  get user(): Bytes {
    return view(this, offsetof<Event>("_user"));
  }
  /** The receiver of a direct message. */
  get target(): Bytes {
    return view(this, offsetof<Event>("_target"));
  }
  /** What connect filters know of the user: a JSON object, or empty. */
  get claims(): Bytes {
    return view(this, offsetof<Event>("_claims"));
  }
  /** What this filter keeps about this connection. */
  get state(): Bytes {
    return view(this, offsetof<Event>("_state"));
  }
  /** The client's address, without port. */
  get remote(): Bytes {
    return view(this, offsetof<Event>("_remote"));
  }
  /** How the lookup ended. */
  get lookupStatus(): Lookup {
    return <Lookup>((this._flags >> 1) & 3);
  }
  /** What the lookup found. */
  get lookup(): Bytes {
    return view(this, offsetof<Event>("_lookup"));
  }

  /** The i-th of metaCount values of the upgrade request. */
  meta(i: i32): Meta {
    if (<u32>i >= <u32>this.metaCount) throw new RangeError("there are not so many meta values");
    return changetype<Meta>(<usize>this._meta + <usize>i * offsetof<Meta>());
  }
  /** The first value of that kind and name; null: there is none. */
  find(kind: MetaKind, name: string): Bytes | null {
    for (let i = 0; i < this.metaCount; i++) {
      const m = this.meta(i);
      if (m.kind == kind && m.name.equals(name)) return m.value;
    }
    return null;
  }
  /** path, host or origin. */
  attribute(name: string): Bytes | null {
    return this.find(MetaKind.Attribute, name);
  }
  /** A header that the configuration names; name is in lower case. */
  header(name: string): Bytes | null {
    return this.find(MetaKind.Header, name);
  }
  /** A query field that the configuration names. */
  query(name: string): Bytes | null {
    return this.find(MetaKind.Query, name);
  }
  /** A cookie that the configuration names. */
  cookie(name: string): Bytes | null {
    return this.find(MetaKind.Cookie, name);
  }

  // ---- The answer ----

  /** Refuse the event and tell the sender why. */
  deny<T>(code: u32, reason: T): Verdict {
    this._outCode = code;
    this._outReason = span<T>(reason);
    return Verdict.Deny;
  }
  /** deny, and tell in how many milliseconds the sender may try again. */
  denyFor<T>(code: u32, retryMs: u32, reason: T): Verdict {
    this._outRetryMs = retryMs;
    return this.deny<T>(code, reason);
  }
  /** Close the connection with a code of 4000 to 4999; 0 stands for 4008. */
  disconnect<T>(closeCode: u32, reason: T): Verdict {
    this._outCode = closeCode;
    this._outReason = span<T>(reason);
    return Verdict.Disconnect;
  }
  /** Replace the content of a message by another JSON value, and continue. */
  rewrite<T>(json: T): Verdict {
    this._outPayload = span<T>(json);
    return Verdict.Continue;
  }
  /** Send a room message to another room, and continue. Needs may: {reroute: [...]} in the configuration. */
  reroute<T>(room: T): Verdict {
    this._outRoom = span<T>(room);
    return Verdict.Continue;
  }
  /** What state is at the next event of this connection, on any verdict. */
  setState<T>(state: T): void {
    this._outState = span<T>(state);
  }
  /** Forget the state of this connection. */
  clearState(): void {
    this._outState = <u64>changetype<usize>(this);
  }
  /** Who the connecting client is. */
  setUser<T>(user: T): void {
    this._outUser = span<T>(user);
  }
  /** What others see beside the user: a JSON value. */
  setInfo<T>(json: T): void {
    this._outPayload = span<T>(json);
  }
  /** What later filters see of the user: a JSON object. */
  setClaims<T>(json: T): void {
    this._outClaims = span<T>(json);
  }
  /** What the user may do: a JSON array, see ABI.md. */
  setGrants<T>(json: T): void {
    this._outGrants = span<T>(json);
  }
  /** When the identity expires, Unix milliseconds. */
  setExpiresMs(unixMs: i64): void {
    this._outExpiresMs = unixMs;
  }

  static check(): void {
    if (offsetof<Event>() != 200 || offsetof<Meta>() != 24) ERROR("the event is not laid out as ABI.md has it");
  }
}

// @ts-ignore: decorator
@inline
function view<T>(object: T, offset: usize): Bytes {
  return changetype<Bytes>(changetype<usize>(object) + offset);
}

/** An output's {ptr, len} in one. */
function span<T>(value: T): u64 {
  Event.check();
  const b = Bytes.of<T>(value);
  return <u64>b.ptr | <u64>b.length << 32;
}
