// The log of what happened. Whatever came from others is put in as text, never
// as markup.

const MAX_ENTRIES = 500;

/** A piece of an entry. */
export function span(name, text) {
  const element = document.createElement('span');
  element.className = name;
  element.textContent = text;
  return element;
}

/** A message's content: text as such, anything else as JSON. */
export function shown(content) {
  const text = typeof content === 'string' ? content : content?.text;
  if (typeof text === 'string' && (typeof content === 'string' || Object.keys(content).length === 1)) return span('text', text);
  const element = document.createElement('code');
  element.className = 'text';
  element.textContent = JSON.stringify(content);
  return element;
}

/** What a user is called. */
export function label(user, info) {
  const name = info?.name;
  return typeof name === 'string' && name !== '' && name !== user ? `${name} (${user})` : user;
}

function clock(time) {
  return time.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}

/**
 * Appends an entry: note, chat or refused. From is the user whose color it
 * has; own says that it is the page's.
 */
export function log(kind, parts, from, own = false) {
  const list = document.getElementById('log');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const entry = document.createElement('li');
  entry.className = kind;
  if (from !== undefined) entry.dataset.color = String([...from].reduce((sum, c) => sum + c.codePointAt(0), 0) % 6);
  if (own) entry.classList.add('own');
  entry.append(span('time', clock(new Date())), ...parts);
  list.append(entry);
  while (list.children.length > MAX_ENTRIES) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}
