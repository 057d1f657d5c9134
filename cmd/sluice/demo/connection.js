// A connection to the node that comes back by itself, as docs/protocol.md
// wants it: the close code says whether, and how soon.

const FIRST_BACKOFF = 1000, MAX_BACKOFF = 30_000; // ms
const DRAIN_SPREAD = 5000; // ms: the clients of a node that shuts down do not all come at once
const SILENCE = 10_000; // ms beyond the node's heartbeat until the connection counts as dead

/**
 * What follows the close of a connection.
 * @param {number} code of the close frame
 * @param {number} failures without a welcome in between
 * @returns {{again: boolean, wait: number, why: string}} wait in ms
 */
export function afterClose(code, failures, random = Math.random) {
  if (code === 4201) return { again: false, wait: 0, why: 'the token has expired; a fresh one is needed' };
  if (code >= 4000 && code <= 4099) return { again: false, wait: 0, why: 'trying again would end the same way' };
  if (code === 4200) return { again: true, wait: random() * DRAIN_SPREAD, why: 'the node is shutting down' };
  const bound = Math.min(FIRST_BACKOFF * 2 ** failures, MAX_BACKOFF);
  return { again: true, wait: random() * bound, why: code === 4100 ? 'this page read too slowly' : 'the connection was lost' };
}

/**
 * Connection calls onState({phase, text}) with the phases connecting, open,
 * waiting and stopped, and onEvent(event) with what the node sends.
 */
export class Connection {
  constructor(onState, onEvent) {
    this.onState = onState;
    this.onEvent = onEvent;
    this.socket = null;
    this.failures = 0;
    this.retry = 0; // timers
    this.watchdog = 0;
    this.patience = 0; // ms of silence; 0: until welcome nothing is known
  }

  /** Connects as who the credentials say: {token} or {name}. */
  open(credentials) {
    this.credentials = credentials;
    this.failures = 0;
    this.connect();
  }

  connect() {
    this.forget();
    this.onState({ phase: 'connecting', text: 'connecting …' });
    const url = new URL('/ws', location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    url.hash = '';
    url.searchParams.set('refusal', 'close'); // a refusal that a script can read
    url.searchParams.set('ping', 'json'); // a heartbeat that a script can see
    const protocols = ['sluice.v1'];
    if (this.credentials.token) protocols.push('sluice.token.' + this.credentials.token);
    else if (this.credentials.name) url.searchParams.set('client_id', this.credentials.name);
    let socket;
    try {
      socket = new WebSocket(url, protocols);
    } catch {
      this.onState({ phase: 'stopped', text: 'the token has characters that no token has' });
      return;
    }
    this.socket = socket;
    socket.onmessage = ({ data }) => { if (this.socket === socket) this.receive(data); };
    socket.onclose = ({ code, reason }) => { if (this.socket === socket) this.closed(code, reason); };
  }

  /** Ends the connection, and does not come back. */
  close() {
    this.forget();
    this.onState({ phase: 'stopped', text: 'not connected' });
  }

  /** Sends a text frame; false if there is no connection. */
  send(text) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(text);
    return true;
  }

  forget() {
    clearTimeout(this.retry);
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    this.patience = 0;
    socket?.close(1000);
  }

  receive(data) {
    this.watch();
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return; // the node sends JSON alone
    }
    if (event.event === 'ping') {
      this.send('{"type":"pong"}');
      return;
    }
    if (event.event === 'welcome') {
      this.failures = 0;
      if (event.ping_interval_ms > 0) this.patience = event.ping_interval_ms + SILENCE;
      this.watch();
      this.onState({ phase: 'open', text: 'connected as ' + event.user_id });
    }
    this.onEvent(event);
  }

  watch() {
    clearTimeout(this.watchdog);
    if (!this.patience) return;
    this.watchdog = setTimeout(() => {
      this.forget(); // a dead connection takes long to say that it is closed
      this.closed(1006, 'nothing came for too long');
    }, this.patience);
  }

  closed(code, reason) {
    clearTimeout(this.watchdog);
    this.socket = null;
    const next = afterClose(code, this.failures++);
    const text = (reason || next.why) + (code === 1006 ? '' : ` (${code})`);
    if (!next.again) {
      this.onState({ phase: 'stopped', text });
      return;
    }
    this.onState({ phase: 'waiting', text: `${text}; reconnecting within ${Math.max(1, Math.ceil(next.wait / 1000))} s` });
    this.retry = setTimeout(() => this.connect(), next.wait);
  }
}
