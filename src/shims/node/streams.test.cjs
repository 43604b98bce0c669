'use strict';
const assert = require('assert');
const http = require('http');
const test = require('node:test');
const { start, get } = require('./harness.cjs');
const { listen } = require('./listener.cjs');

test('server-sent events end behind a whole event, and the app may write on', async () => {
  const app = start('streams.js', { env: { CLUSTERCTL_KILL_TIMEOUT_MS: '20000' } });
  const port = await app.port();
  const listeners = Array.from({ length: 20 }, () => listen(port, '/events'));
  await Promise.all(listeners.map(({ first }) => first));
  app.signal();
  const ends = await Promise.all(listeners.map(({ ended }) => ended));
  assert.deepStrictEqual([...new Set(ends)], ['whole']);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  assert.strictEqual(app.lines.filter((line) => line === 'closed').length, 20);
});

test('events that answer a POST go on to their end', async () => {
  const app = start('streams.js', { env: { CLUSTERCTL_KILL_TIMEOUT_MS: '20000' } });
  const port = await app.port();
  const [before, prompt, behind] = [['/events'], ['/prompt', 'POST'], ['/events']].map((what) => listen(port, ...what));
  await Promise.all([before.first, prompt.first, behind.first]);
  app.signal();
  await Promise.all([before.ended, behind.ended]);
  assert.strictEqual(await prompt.ended, 'whole');
  assert.match(prompt.text(), /data: last\n\n$/);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('requests have kill_timeout, streams without an end the stream timeout', async () => {
  const env = { PROTOCOL: 'upgrade', DELAY: '2000', CLUSTERCTL_KILL_TIMEOUT_MS: '30000', CLUSTERCTL_STREAM_TIMEOUT_MS: '500' };
  const app = start('protocols.js', { env });
  const port = await app.port();
  const upgraded = await new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', headers: { Connection: 'Upgrade', Upgrade: 'echo' } })
      .on('upgrade', (response, socket) => resolve(socket)).on('error', reject);
  });
  const order = [];
  const over = new Promise((resolve) => { upgraded.on('error', () => {}).on('close', resolve).resume(); })
    .then(() => order.push('stream'));
  const answer = get(port).then(({ body }) => order.push(body));
  await app.line(/^request 1/);
  app.signal();
  await Promise.all([over, answer]);
  assert.deepStrictEqual(order, ['stream', 'hello\n']);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});
