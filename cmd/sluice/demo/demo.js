// The page: what people do becomes commands, and events become entries of the
// log, rooms and people.

import { Connection } from './connection.js';
import { label, log, shown, span } from './log.js';

const PRESENCE_DELAY = 150; // ms: many who come at once are asked for once
const FIRST_ROOM = 'chat:lobby';

const $ = (id) => document.getElementById(id);

const me = { user: '', credentials: null };
const rooms = new Map(); // joined, or to be joined again: name → joined now
let room = ''; // the one whose members are shown
const people = new Map(); // user → info, of those who were seen
const pending = new Map(); // id of a command → what the answer to it needs
let lastID = 0;
let first = true; // nobody was welcomed yet
let presenceTimer = 0;

const connection = new Connection(showState, receive);

// — Sending —

/**
 * Sends a command. What it is called is for people, should it be refused;
 * content is JSON text, which goes out as it is. Where names whom a message
 * goes to that does not come back to its sender.
 */
function command(fields, what, content, where) {
  const id = ++lastID;
  let frame = JSON.stringify({ ...fields, id });
  if (content !== undefined) frame = `${frame.slice(0, -1)},"content":${content}}`;
  if (!connection.send(frame)) {
    log('note', ['Not sent: there is no connection.']);
    return;
  }
  pending.set(id, { what, content, where, joins: fields.type === 'join_room' ? fields.room : '' });
}

function joinRoom(name) {
  command({ type: 'join_room', room: name }, `join ${name}`);
}

function sendTo(target, content) {
  const [kind, name] = [target.slice(0, target.indexOf(' ')), target.slice(target.indexOf(' ') + 1)];
  switch (kind) {
    case 'room': return command({ type: 'room_message', room: name }, `message to ${name}`, content);
    case 'user': return command({ type: 'direct_message', target_user: name }, `message to ${name} alone`, content, `to ${name} alone`);
    default: return command({ type: 'chat' }, 'message to everyone', content, 'to everyone');
  }
}

function askPresence() {
  clearTimeout(presenceTimer);
  presenceTimer = setTimeout(() => {
    if (rooms.get(room)) command({ type: 'presence', room }, `who is in ${room}`);
  }, PRESENCE_DELAY);
}

// — Receiving —

function receive(event) {
  const asked = pending.get(event.id);
  pending.delete(event.id);
  handlers[event.event]?.(event, asked);
}

const handlers = {
  welcome({ user_id, expires_at }) {
    me.user = user_id;
    document.title = `${user_id} · Sluice demo`;
    const until = expires_at ? `, until ${new Date(expires_at * 1000).toLocaleString([], { weekday: 'short', hour: '2-digit', minute: '2-digit' })}` : '';
    log('note', [`Connected as ${user_id}${until}.`]);
    pending.clear();
    if (first) rooms.set(FIRST_ROOM, false);
    first = false;
    for (const name of rooms.keys()) {
      rooms.set(name, false); // memberships ended with the connection before
      joinRoom(name);
    }
  },

  joined({ room: name, announced }) {
    rooms.set(name, true);
    if (!rooms.get(room)) room = name;
    log('note', [`You are in ${name}${announced ? '' : ', where nobody is told who comes and goes'}.`]);
    showRooms();
  },

  left({ room: name, reason }) {
    rooms.delete(name);
    log('note', [`You left ${name}${reason ? `: ${reason}` : ''}.`]);
    if (room === name) room = [...rooms.keys()][0] ?? '';
    showRooms();
  },

  chat({ from, info, room: name, direct, content }) {
    see(from, info);
    const where = direct ? 'to you alone' : name ?? 'to everyone';
    log('chat', [span('who', label(from, info)), span('where', where), shown(content)], from, from === me.user);
  },

  ack(event, asked) {
    if (asked?.where) log('chat', [span('who', label(me.user)), span('where', asked.where), shown(JSON.parse(asked.content))], me.user, true);
  },

  user_joined({ user_id, info, room: name }) {
    if (user_id !== me.user) log('note', [`${label(user_id, info)} came to ${name}.`]);
    if (name === room) askPresence();
  },

  user_left({ user_id, info, room: name }) {
    log('note', [`${label(user_id, info)} left ${name}.`]);
    if (name === room) askPresence();
  },

  user_connected({ user_id }) { log('note', [`${user_id} connected.`]); },
  user_disconnected({ user_id }) { log('note', [`${user_id} disconnected.`]); },

  presence({ room: name, total, users }) {
    if (name === room) showPeople(users, total);
  },

  gap({ room: name }) { log('note', [`Messages of ${name} may be missing: this page read too slowly.`]); },

  error({ code, reason, filter, retry_after_ms }, asked) {
    if (asked?.joins) rooms.delete(asked.joins);
    if (asked?.what === `who is in ${room}`) {
      showPeople([], 0);
      $('people-note').textContent = reason;
      return;
    }
    const by = filter ? `Refused by the filter ${filter}` : 'Refused by the node';
    const later = retry_after_ms ? ` Try again in ${Math.ceil(retry_after_ms / 1000)} s.` : '';
    log('refused', [span('by', by), span('code', code), span('reason', reason + later), span('where', asked?.what ?? '')]);
    showRooms();
  },
};

// — Showing —

function showState({ phase, text }) {
  $('state').dataset.phase = phase;
  $('state-text').textContent = text;
  $('toggle').textContent = { open: 'Disconnect', connecting: 'Cancel', waiting: 'Connect now', stopped: 'Connect' }[phase];
  $('sign-in').hidden = phase !== 'stopped';
  if (phase !== 'open') {
    for (const name of rooms.keys()) rooms.set(name, false);
    showPeople([], 0);
  }
  showRooms();
}

function showRooms() {
  $('rooms').replaceChildren(...[...rooms].map(([name, joined]) => {
    const item = document.createElement('li');
    const choose = button(name, () => { room = name; showRooms(); });
    if (name === room) choose.setAttribute('aria-current', 'true');
    choose.disabled = !joined;
    const leave = button('Leave', () => command({ type: 'leave_room', room: name }, `leave ${name}`));
    leave.setAttribute('aria-label', `Leave ${name}`);
    leave.disabled = !joined;
    item.append(choose, leave);
    return item;
  }));
  $('people-title').textContent = room ? `Who is in ${room}` : 'Who is here';
  for (const id of ['try-size', 'try-schema']) $(id).disabled = !rooms.get(room);
  showTargets();
  askPresence();
}

function see(user, info) {
  if (user === me.user || people.has(user)) return;
  people.set(user, info);
  showTargets();
}

function showPeople(users, total) {
  for (const { user_id, info } of users) see(user_id, info);
  $('people-note').textContent = total > users.length ? `and ${total - users.length} more` : '';
  $('people').replaceChildren(...users.map(({ user_id, info, connections }) => {
    const item = document.createElement('li');
    const tabs = connections > 1 ? `, ${connections} connections` : '';
    item.append(span('who', label(user_id, info) + (user_id === me.user ? ', you' : '') + tabs));
    if (user_id !== me.user) {
      const write = button('Write', () => { $('to').value = `user ${user_id}`; $('content').focus(); });
      write.setAttribute('aria-label', `Write to ${user_id} alone`);
      item.append(write);
    }
    return item;
  }));
}

/** Offers whom a message can go to, and keeps the choice while it exists. */
function showTargets() {
  const to = $('to');
  const before = to.value;
  const options = [
    ...[...rooms].filter(([, joined]) => joined).map(([name]) => [`room ${name}`, `everyone in ${name}`]),
    ...[...people].filter(([user]) => user !== me.user).map(([user, info]) => [`user ${user}`, `${label(user, info)} alone`]),
    ['all ', 'everyone'],
  ];
  to.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  const kept = options.some(([value]) => value === before && value !== 'all ');
  to.value = kept ? before : options.some(([value]) => value === `room ${room}`) ? `room ${room}` : options[0][0];
}

function button(text, act) {
  const element = document.createElement('button');
  element.type = 'button';
  element.textContent = text;
  element.onclick = act;
  return element;
}

// — What people do —

function connectAs(credentials) {
  me.credentials = credentials;
  try {
    sessionStorage.setItem('sluice-demo', JSON.stringify(credentials)); // of this tab: a reload stays who it was
  } catch { /* without storage, a reload asks again */ }
  connection.open(credentials);
}

/** Takes the credentials out of the address, where they would be copied and bookmarked. */
function fromAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const [token, name] = [fragment.get('token'), fragment.get('name')];
  if (!token && !name) return null;
  history.replaceState(null, '', location.pathname);
  return token ? { token } : { name };
}

function fromSession() {
  try {
    return JSON.parse(sessionStorage.getItem('sluice-demo'));
  } catch {
    return null;
  }
}

function onSubmit(id, act) {
  $(id).addEventListener('submit', (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit('sign-in', () => {
  const [token, name] = [$('token').value.trim(), $('name').value.trim()];
  connectAs(token ? { token } : { name });
  $('token').value = '';
});

onSubmit('join', () => {
  joinRoom($('room').value);
  $('room').value = '';
});

onSubmit('compose', () => {
  const field = $('content');
  let content = field.value;
  $('content-error').textContent = '';
  field.removeAttribute('aria-invalid');
  if ($('as').value === 'json') {
    try {
      JSON.parse(content);
    } catch (mistake) {
      $('content-error').textContent = `This is not JSON: ${mistake.message}`;
      field.setAttribute('aria-invalid', 'true');
      return;
    }
  } else if (content === '') return;
  else content = JSON.stringify({ text: content });
  sendTo($('to').value, content);
  field.value = '';
  field.focus();
});

onSubmit('raw', () => {
  if (!connection.send($('frame').value)) log('note', ['Not sent: there is no connection.']);
});

function showForm() {
  const json = $('as').value === 'json';
  $('content-label').textContent = json ? 'Content, any JSON value' : 'Message';
  $('content-help').textContent = json ? 'Ctrl and Enter sends.' : 'Enter sends, Shift and Enter starts a line. It goes out as {"text": …}.';
  $('content').spellcheck = !json;
  $('content-error').textContent = '';
}
$('as').addEventListener('change', showForm);

$('content').addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.isComposing) return;
  const json = $('as').value === 'json';
  if (json ? event.ctrlKey || event.metaKey : !event.shiftKey) {
    event.preventDefault();
    $('compose').requestSubmit();
  }
});

$('toggle').addEventListener('click', () => {
  const phase = $('state').dataset.phase;
  if (phase === 'open' || phase === 'connecting') connection.close();
  else if (me.credentials) connection.open(me.credentials);
  else $('token').focus();
});

$('try-size').addEventListener('click', () => sendTo(`room ${room}`, JSON.stringify({ text: 'large '.repeat(2000) })));
$('try-schema').addEventListener('click', () => sendTo(`room ${room}`, '{"text":42}'));
$('try-join').addEventListener('click', () => joinRoom('staff:payroll'));
$('try-broadcast').addEventListener('click', () => sendTo('all ', '{"text":"good morning, everyone"}'));

addEventListener('online', () => { if ($('state').dataset.phase === 'waiting') connection.connect(); });
addEventListener('hashchange', () => {
  const credentials = fromAddress(); // another link, opened in the same tab
  if (credentials) connectAs(credentials);
});

$('frame').value = '{"type": "room_message", "room": "chat:lobby", "content": {"text": "hi"}, "id": "mine"}';
showForm();
const credentials = fromAddress() ?? fromSession();
if (credentials) connectAs(credentials);
else showState({ phase: 'stopped', text: 'not connected' });
