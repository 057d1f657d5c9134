// Opens the links of `sluice serve --dev` in two tabs of Chromium and does what
// a newcomer would. The first argument is the binary of sluice, the second a folder for
// what Chromium and sluice leave behind. Each step prints a line; the last one says
// that all was shown. With DEMO_SCREENSHOT=FILE it takes a picture.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Node } from './node.mjs';

const [binary, folder] = process.argv.slice(2);
const PATIENCE = 30_000; // ms, for what takes a moment on an idle machine

const browser = await chromium.launchPersistentContext(join(folder, 'profile'), {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  viewport: { width: 1100, height: 760 },
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
browser.setDefaultTimeout(PATIENCE);
const complaints = []; // what the pages had to say against themselves
const requests = []; // URLs that were asked for, other than the WebSocket's

async function tab(link) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(link);
  return page;
}

const state = (page, phase) => page.locator(`#state[data-phase="${phase}"]`).waitFor();
const chat = (page, text) => page.locator('#log .chat', { hasText: text }).last().waitFor();
const note = (page, text) => page.locator('#log .note', { hasText: text }).last().waitFor();

async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.keyboard.press('Enter');
}

/** Waits for a refusal, and returns what the page shows of it. */
async function refusal(page, code) {
  const entry = page.locator('#log .refused', { has: page.locator('.code', { hasText: code }) }).last();
  await entry.waitFor();
  return {
    by: await entry.locator('.by').textContent(),
    reason: await entry.locator('.reason').textContent(),
    what: await entry.locator('.where').textContent(),
  };
}

/** Counts the refusals of a code, so that a new one is told from an old one. */
const refusals = (page, code) => page.locator('#log .refused .code', { hasText: code }).count();

async function refused(page, code, act, expected) {
  const before = await refusals(page, code);
  await act();
  await page.waitForFunction(([code, before]) =>
    [...document.querySelectorAll('#log .refused .code')].filter((e) => e.textContent === code).length > before, [code, before]);
  const shown = await refusal(page, code);
  for (const [field, pattern] of Object.entries(expected)) assert.match(shown[field], pattern, `${code}: ${field}`);
}

const ok = (what) => console.log(`ok: ${what}`);

let node;
try {
  node = await Node.start(binary, folder, ['--dev']);
  const [ann, bob] = [await tab(node.links.ann), await tab(node.links.bob)];
  for (const page of [ann, bob]) await state(page, 'open');
  assert.equal(await ann.title(), 'ann · Sluice demo');
  ok('each link is connected as its user');

  for (const page of [ann, bob]) {
    assert.equal(new URL(page.url()).hash, '', 'the token stays in the address');
  }
  assert.ok(requests.length > 0 && requests.every((url) => !url.includes('eyJ')), 'a token is in a URL that was requested');
  assert.ok(!node.log().includes('eyJ'), 'a token is in the log');
  ok('no token is in an address, a request or the log');

  await ann.locator('#people li', { hasText: 'Bob (bob)' }).waitFor();
  await bob.locator('#people li', { hasText: 'Ann (ann)' }).waitFor();
  ok('both see who is there, by the names in their tokens');

  await say(ann, 'Hello! Does anyone want tea?');
  await chat(bob, 'Hello! Does anyone want tea?');
  await say(bob, 'Yes, at four! I bring the cake.');
  await chat(ann, 'Yes, at four! I bring the cake.');
  ok('they chat in a room');

  await refused(ann, 'too_large', () => ann.getByRole('button', { name: 'A message that is too large' }).click(),
    { by: /filter size$/, reason: /4096/, what: /message to chat:lobby/ });
  await refused(ann, 'invalid', () => ann.getByRole('button', { name: 'A message of the wrong form' }).click(),
    { by: /filter validate$/, reason: /\/text.*string/, what: /message to chat:lobby/ });
  await refused(ann, 'forbidden', () => ann.getByRole('button', { name: 'A room without a grant' }).click(),
    { by: /the node$/, reason: /grant|not allowed|may not/, what: /join staff:payroll/ });
  await refused(ann, 'forbidden', () => ann.getByRole('button', { name: 'A message to everyone' }).click(),
    { by: /the node$/, reason: /grant|not allowed|may not/, what: /message to everyone/ });
  assert.equal(await bob.locator('#log', { hasText: 'large large' }).count(), 0, 'a refused message arrived');
  ok('size, schema, join and broadcast are refused, with filter, code and reason');

  if (process.env.DEMO_SCREENSHOT) {
    await ann.setViewportSize({ width: 1100, height: 860 });
    await ann.getByRole('heading', { name: 'Messages' }).hover();
    await ann.locator('#log li').first().scrollIntoViewIfNeeded();
    await ann.screenshot({ path: process.env.DEMO_SCREENSHOT });
    await ann.setViewportSize({ width: 1100, height: 760 });
  }

  await say(bob, '<b>bold</b> <img src=x onerror=alert(1)>');
  await chat(ann, '<b>bold</b> <img src=x onerror=alert(1)>');
  assert.equal(await ann.locator('#log b, #log img').count(), 0, 'a message became markup');
  ok('a message is text, not markup');

  await ann.getByRole('combobox', { name: 'As', exact: true }).selectOption('json');
  const content = ann.getByLabel('Content, any JSON value');
  await content.fill('{"text": "psst", ');
  await ann.keyboard.press('Control+Enter');
  await ann.locator('#content-error', { hasText: 'This is not JSON' }).waitFor();
  await content.fill('{"text": "tea list", "cups": [1, 2.50, null]}');
  await ann.keyboard.press('Control+Enter');
  await chat(bob, '{"text":"tea list","cups":[1,2.5,null]}');
  await ann.getByRole('combobox', { name: 'As', exact: true }).selectOption('text');
  ok('JSON of any form is sent, and what is none is not');

  await ann.getByText('Send a frame as it is').click();
  await ann.getByLabel('One command of the protocol').fill('{"type":"room_message","room":"chat:lobby","content":"a bare text"}');
  await ann.getByRole('button', { name: 'Send the frame' }).click();
  await chat(bob, 'a bare text');
  await refused(ann, 'bad_request', async () => {
    await ann.getByLabel('One command of the protocol').fill('{"type":"nonsense"}');
    await ann.getByRole('button', { name: 'Send the frame' }).click();
  }, { by: /the node$/, reason: /type/ });
  ok('a frame is sent as it is');

  for (const page of [ann, bob]) {
    await page.getByLabel('Room', { exact: true }).fill('chat:tea');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Leave chat:tea' }).waitFor();
  }
  await note(ann, 'Bob (bob) came to chat:tea');
  await bob.locator('#rooms').getByRole('button', { name: 'chat:tea', exact: true }).click();
  await bob.getByRole('combobox', { name: 'To', exact: true }).selectOption('room chat:tea');
  await say(bob, 'in the other room');
  await chat(ann, 'in the other room');
  await bob.getByRole('button', { name: 'Leave chat:tea' }).click();
  await note(bob, 'You left chat:tea');
  await note(ann, 'Bob (bob) left chat:tea');
  ok('rooms are joined and left, and others see it');

  await bob.getByRole('button', { name: 'Write to ann alone' }).click();
  await say(bob, 'just for you');
  await chat(bob, 'just for you');
  await chat(ann, 'just for you');
  assert.equal(await ann.locator('#log .chat', { hasText: 'just for you' }).locator('.where').textContent(), 'to you alone');
  ok('a direct message reaches its user');

  await ann.setViewportSize({ width: 360, height: 740 });
  for (const page of [ann]) {
    const wide = await page.evaluate(() => [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('details:not([open])')).map((e) => e.id || e.className || e.tagName));
    assert.deepEqual(wide, [], 'these stick out at 360 px');
    const unnamed = await page.evaluate(() => [...document.querySelectorAll('button, input, select, textarea')].filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute('aria-label'))).map((e) => e.id));
    assert.deepEqual(unnamed, [], 'these have no name');
  }
  await ann.setViewportSize({ width: 1100, height: 760 });
  ok('the page fits 360 px, and every control has a name');

  await ann.reload();
  await state(ann, 'open');
  ok('a reload stays who it was');

  const next = await ann.evaluate(async () => {
    const { afterClose } = await import('/connection.js');
    const last = () => 1; // the longest that chance can make a wait
    return [[4000, 0], [4001, 0], [4008, 0], [4099, 0], [4201, 0], [4200, 9], [4100, 0], [4101, 3], [4199, 9], [1006, 0], [1006, 4], [1009, 99], [1005, 5]]
      .map(([code, failures]) => [code, afterClose(code, failures, last)]).map(([code, { again, wait }]) => [code, again ? wait : 'stop']);
  });
  assert.deepEqual(next, [[4000, 'stop'], [4001, 'stop'], [4008, 'stop'], [4099, 'stop'], [4201, 'stop'], [4200, 5000], [4100, 1000], [4101, 8000], [4199, 30000],
    [1006, 1000], [1006, 16000], [1009, 30000], [1005, 30000]]);
  ok('the close code says whether the page comes back, and how soon');

  // A fresh start of --dev has another key: the old tokens are worth nothing.
  await node.stop();
  await state(ann, 'waiting');
  node = await Node.start(binary, folder, ['--dev', '--listen', node.address]);
  await state(ann, 'stopped');
  const shown = await refusal(ann, 'unauthorized');
  assert.match(shown.by, /filter auth$/);
  assert.equal(await ann.getByLabel('Token').isVisible(), true);
  ok('a node that shuts down is waited for, and a refused token is not tried again');

  await ann.goto(node.links.ann); // in the same tab only the fragment changes
  await state(ann, 'open');
  ok('another link works in the same tab');

  // With a key that stays, the page comes back by itself, and into its rooms.
  await node.stop();
  const config = join(folder, 'fixed.yaml');
  writeFileSync(config, 'filters:\n  - {name: auth, plugin: "builtin:auth", keys: [{alg: HS256, secret: "of more than thirty-two bytes, for tests"}]}\n');
  node = await Node.start(binary, folder, ['--dev', '--config', config, '--listen', node.address]);
  await ann.goto(node.links.ann);
  await bob.goto(node.links.bob);
  for (const page of [ann, bob]) await state(page, 'open');
  await node.stop();
  for (const page of [ann, bob]) await state(page, 'waiting');
  node = await Node.start(binary, folder, ['--dev', '--config', config, '--listen', node.address]);
  for (const page of [ann, bob]) await state(page, 'open');
  await ann.locator('#people li', { hasText: 'bob' }).waitFor();
  await say(ann, 'we are back');
  await chat(bob, 'we are back');
  ok('after a restart the page reconnects and is in its rooms again');

  assert.deepEqual(complaints.filter((text) => !/WebSocket connection to .* failed/.test(text)), [], 'the pages complain');
  ok('the pages have no errors, and break no rule of their policy');
} catch (error) {
  console.log(`failed: ${error.stack}\nthe node's log:\n${node?.log()}`);
  for (const page of browser.pages()) {
    if (page.url().startsWith('http')) console.log(`a page shows:\n${await page.locator('body').innerText()}`);
  }
  process.exitCode = 1;
} finally {
  await browser.close();
  await node?.stop();
}
if (!process.exitCode) console.log('all shown');
