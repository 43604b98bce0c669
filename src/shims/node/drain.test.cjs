'use strict';
const assert = require('assert');
const http = require('http');
const test = require('node:test');
const { start, get, closed } = require('./harness.cjs');
const { hold, instance } = require('./rolling.cjs');
const { listen } = require('./listener.cjs');

test('a request in flight is answered, told to close, and the process ends with 0', async () => {
  const app = start('classic.js', { env: { ANNOUNCE: '1' } });
  const port = await app.port();
  const agent = new http.Agent({ keepAlive: true });
  const answer = get(port, { agent, path: '/slow' });
  await app.line(/^request .slow/);
  app.signal();
  assert.strictEqual((await answer).connection, 'close');
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('an idle keep-alive connection gets one more answer during the drain', async () => {
  const app = start('classic.js', { env: { DELAY: '0' } });
  const port = await app.port();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  assert.strictEqual((await get(port, { agent })).connection, 'keep-alive');
  app.signal();
  await closed(port);
  const last = await get(port, { agent });
  assert.strictEqual(last.reused, true);
  assert.strictEqual(last.connection, 'close');
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('a request that came while the process was held up is answered, however long its connection was idle', async () => {
  const env = { ANNOUNCE: '1', DELAY: '0', STALL: '1000', CLUSTERCTL_KILL_TIMEOUT_MS: '2000' };
  const app = start('classic.js', { env });
  const port = await app.port();
  const [idle, other] = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  await get(port, { agent: idle });
  await get(port, { agent: other });
  app.signal();
  await closed(port);
  const stalled = get(port, { agent: other, path: '/stall' });
  await app.line(/^request .stall/);
  const last = await get(port, { agent: idle, path: '/last' });
  assert.deepStrictEqual([last.reused, last.connection], [true, 'close']);
  await stalled;
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('a connection that stays idle is closed, and the process ends', async () => {
  const app = start('classic.js', { env: { DELAY: '0', CLUSTERCTL_KILL_TIMEOUT_MS: '2000' } });
  const port = await app.port();
  const agent = new http.Agent({ keepAlive: true });
  await get(port, { agent });
  app.signal();
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('a program without server and handlers dies of the signal, as without us', async () => {
  const app = start(null, { node: ['-e', 'console.log("up"); setInterval(() => {}, 1000)'] });
  await app.line(/^up/);
  app.signal();
  assert.deepStrictEqual(await app.ended, { code: null, signal: 'SIGTERM' });
});

/// The drain has begun, as every answer says. Asked over and over, since a held listener refuses nobody.
async function toldToClose(options) {
  for (;;) {
    const answer = await get(options.port, options);
    if (answer.connection === 'close') return answer;
  }
}

for (const [on, env] of [['SIGINT', {}], ['SIGTERM', {}], ['message', { CLUSTERCTL_SHUTDOWN_WITH_MESSAGE: '1' }]]) {
  test(`an app that shuts down on ${on} does so itself, and its close() completes without an error`, async (t) => {
    const held = hold();
    t.after(held.close);
    const app = await instance(held, 'pm2-graceful.js', { env: { ON: on, ...env } });
    const idle = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await get(held.port, { agent: idle });
    const answer = get(held.port, { path: '/slow' });
    await app.line(/^request .slow/);
    app.signal();
    app.signal();
    assert.strictEqual((await toldToClose({ port: held.port, agent: idle, path: '/last' })).reused, true);
    assert.strictEqual((await answer).connection, 'close');
    assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
    assert.deepStrictEqual(app.lines.filter((line) => /^(shutdown|closed)/.test(line)), [`shutdown ${on}`, 'closed well']);
  });
}

for (const kind of ['exit', 'later', 'close', 'destroy']) {
  test(`a handler (${kind}) gets the signal when what is under way has been answered`, async () => {
    const app = start('handlers.js', { env: { KIND: kind, ANNOUNCE: '1' } });
    const port = await app.port();
    const idle = new http.Agent({ keepAlive: true, maxSockets: 1 });
    await get(port, { agent: idle });
    const slow = get(port, { path: '/slow' });
    await app.line(/^request .slow/);
    app.signal();
    await closed(port);
    assert.strictEqual((await get(port, { agent: idle, path: '/last' })).connection, 'close');
    assert.strictEqual((await slow).status, 200);
    assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
    assert.deepStrictEqual(app.lines.slice(-1), ['leaving on SIGTERM']);
  });
}

for (const how of ['once', 'prependListener', 'prependOnceListener', 'late']) {
  test(`a handler that was added by ${how} gets the signal once`, async () => {
    const app = start('handlers.js', { env: { KIND: 'later', HOW: how, ANNOUNCE: '1' } });
    const port = await app.port();
    const slow = get(port, { path: '/slow' });
    await app.line(/^request .slow/);
    app.signal();
    app.signal();
    assert.strictEqual((await slow).status, 200);
    assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
    assert.deepStrictEqual(app.lines.filter((line) => /^leaving/.test(line)), ['leaving on SIGTERM']);
  });
}

test('what has no end does not keep a handler from its signal', async () => {
  const app = start('streams.js', { env: { HANDLER: '1', CLUSTERCTL_KILL_TIMEOUT_MS: '60000' } });
  const port = await app.port();
  const events = listen(port, '/events');
  await events.first;
  app.signal();
  assert.strictEqual(await events.ended, 'whole');
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  assert.ok(app.lines.includes('leaving'));
});

test('ready goes to the manager only when it waits for it', async () => {
  for (const [env, expected] of [[{ CLUSTERCTL_WAIT_READY: '1' }, ['notify READY=1']], [{}, []]]) {
    const app = start('classic.js', { env, requires: ['record-notify.cjs'] });
    await app.port();
    app.signal();
    await app.ended;
    assert.deepStrictEqual(app.lines.slice(1), expected);
  }
});
