'use strict';
const assert = require('assert');
const http = require('http');
const test = require('node:test');
const { get } = require('./harness.cjs');
const { hold, instance } = require('./rolling.cjs');

const CLEAN = { code: 0, signal: null };

test('a server in a worker thread finishes what it has begun, and the process ends', async () => {
  const held = hold();
  const app = await instance(held, 'threaded.js', { input: 'pipe' });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  await get(held.port, { agent, path: '/quick' });
  const answer = get(held.port, { path: '/slow' });
  await app.line(/^request .slow/);
  app.signal();
  assert.strictEqual((await answer).connection, 'close');
  const last = await get(held.port, { agent, path: '/quick' });
  assert.deepStrictEqual([last.reused, last.connection], [true, 'close']);
  assert.deepStrictEqual(await app.ended, CLEAN);
  held.close();
});

test('a worker thread that was terminated holds nobody up', async () => {
  const held = hold();
  const app = await instance(held, 'threaded.js', { input: 'pipe' });
  app.child.stdin.write('end\n');
  await app.line(/^terminated/);
  app.signal();
  assert.deepStrictEqual(await app.ended, { code: null, signal: 'SIGTERM' });
  held.close();
});

test("the main thread's own handler decides when the process ends", async () => {
  const held = hold();
  const app = await instance(held, 'threaded.js', { input: 'pipe', env: { OWN_HANDLER: '1' } });
  const answer = get(held.port, { path: '/slow' });
  await app.line(/^request .slow/);
  app.signal();
  await app.line(/^handler/);
  assert.strictEqual((await answer).connection, 'close');
  app.child.stdin.end();
  assert.deepStrictEqual(await app.ended, { code: 7, signal: null });
  held.close();
});
