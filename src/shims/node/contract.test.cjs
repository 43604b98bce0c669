'use strict';
const assert = require('assert');
const { fork } = require('child_process');
const path = require('path');
const test = require('node:test');
const { SHIM, FIXTURES, start, get } = require('./harness.cjs');

const OURS = { CLUSTERCTL_WAIT_READY: '1', CLUSTERCTL_KILL_TIMEOUT_MS: '5000' };
const report = async (app) => JSON.parse((await app.line(/^\{.*/))[0]);

test('an app sees the channel of PM2, and nothing else of ours', async () => {
  const seen = await report(start('report.js', { env: OURS, args: ['a b'] }));
  const plain = await report(start('report.js', { shim: false, args: ['a b'] }));
  delete plain.options;
  assert.deepStrictEqual(seen, { ...plain, send: 'function', connected: true });
});

test('a server sees no listeners of ours either', async () => {
  const app = start('report.js', { env: OURS, args: ['listen'] });
  const seen = JSON.parse((await get(await app.port())).body);
  assert.deepStrictEqual(seen.listeners, { SIGTERM: 0, SIGINT: 0, message: 0, exit: 0 });
  app.signal();
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('nothing else in the process differs, down to the stack of a failure', async () => {
  const seen = await report(start('surface.js', { env: OURS }));
  const plain = await report(start('surface.js', { shim: false, env: OURS }));
  for (const name of Object.keys(OURS)) remove(plain, name);
  assert.deepStrictEqual(seen, plain);
});

/// Leaves a variable out wherever the environment was listed.
function remove(seen, name) {
  for (const part of Object.values(seen)) if (part.env) part.env = part.env.filter((other) => other !== name);
}

test("the user's own NODE_OPTIONS stay as they were written", async () => {
  for (const [options, left] of [
    [`--require ${SHIM} --no-warnings`, '--no-warnings'],
    [`--require "${SHIM}" --require ${FIXTURES}/record-notify.cjs  --no-warnings`, `--require ${FIXTURES}/record-notify.cjs  --no-warnings`],
    [`--no-warnings --require=${SHIM}`, '--no-warnings'],
    [`-r ${SHIM}`, undefined],
  ]) {
    const seen = await report(start('report.js', { env: { ...OURS, NODE_OPTIONS: options } }));
    assert.deepStrictEqual([seen.options, seen.ours], [left, []]);
  }
});

test('wrappers pass everything on', async () => {
  const wrapper = path.join(FIXTURES, 'node_modules', 'npm', 'bin', 'npm-cli.js');
  const app = start(wrapper, { env: OURS, args: [path.join(FIXTURES, 'report.js')] });
  assert.strictEqual((await app.line(/^wrapper.*/))[0], 'wrapper undefined');
  const seen = await report(app);
  assert.deepStrictEqual([seen.send, seen.options, seen.ours], ['function', undefined, []]);
});

test('what is said to a wrapper that has a channel of its own is heard by the manager as well', async () => {
  const wrapper = path.join(FIXTURES, 'node_modules', 'npm', 'bin', 'npm-cli.js');
  const env = { ...OURS, CHANNEL: '1', LISTEN_FDS: '1' };
  const app = start(wrapper, { env, args: [path.join(FIXTURES, 'classic.js')], requires: ['record-notify.cjs'] });
  await app.port();
  await app.line(/^told ready/);
  await app.line(/^notify READY=1/);
  app.signalTree();
  await app.ended;
});

test('the channel behaves as a channel', async () => {
  const app = start('channel.js', { env: OURS, requires: ['record-notify.cjs'] });
  assert.deepStrictEqual(JSON.parse((await app.line(/^\[.*/))[0]), [
    'connected true', 'returns true', 'callback null', 'callback with options null', 'connected false', 'returns false',
    'disconnect event',
  ]);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  assert.deepStrictEqual(app.lines.filter((line) => line.startsWith('notify')), []);
});

test('the channel keeps a process that listens to it', async () => {
  const code = 'process.on("message", (text) => console.log(`got ${text}`)); console.log("up")';
  const app = start(null, { node: ['-e', code], env: { CLUSTERCTL_SHUTDOWN_WITH_MESSAGE: '1' } });
  await app.line(/^up/);
  app.signal();
  await app.line(/^got shutdown/);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
});

test('the channel lets a process go that no longer listens, or says so', async () => {
  for (const end of ['process.removeListener("message", listener)', 'process.disconnect()', 'process.channel.unref()']) {
    const code = `const listener = () => {}; process.on("message", listener); setImmediate(() => { ${end}; });`;
    assert.deepStrictEqual(await start(null, { node: ['-e', code] }).ended, { code: 0, signal: null });
  }
});

test('a real channel is left alone', async () => {
  const child = fork(path.join(FIXTURES, 'report.js'), ['listen'], {
    env: { ...process.env, ...OURS, NODE_OPTIONS: `--require ${SHIM}` }, stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const got = new Promise((resolve) => { child.on('message', resolve); });
  const text = await new Promise((resolve) => { child.stdout.setEncoding('utf8').once('data', resolve); });
  assert.strictEqual(JSON.parse(text.split('\n')[0]).send, 'function');
  child.kill('SIGTERM');
  const signal = await new Promise((resolve) => { child.on('exit', (code, by) => resolve(by)); });
  assert.strictEqual(signal, 'SIGTERM');
  assert.strictEqual(await Promise.race([got, 'nothing']), 'nothing');
});

test('a worker thread is left alone', async () => {
  const code = `
    const { Worker } = require('worker_threads');
    new Worker('console.log("thread", typeof process.send, process.listenerCount("newListener"))', { eval: true });`;
  const app = start(null, { node: ['-e', code], env: OURS });
  const plain = start(null, { node: ['-e', code], shim: false });
  assert.strictEqual((await app.line(/^thread.*/))[0], (await plain.line(/^thread.*/))[0]);
});

for (const [name, node, file] of [
  ['an ES module', [], 'classic.mjs'],
  ['an ES module with --import', ['--import', path.join(FIXTURES, 'nothing.mjs')], 'classic.mjs'],
  ['a script given with --eval', ['-e', `require(${JSON.stringify(path.join(FIXTURES, 'classic.js'))})`], null],
]) {
  test(`${name} is drained and heard`, async () => {
    const app = start(file, { node, env: { ...OURS, ANNOUNCE: '1' }, requires: ['record-notify.cjs'] });
    const port = await app.port();
    await app.line(/^notify READY=1/);
    const answer = get(port, { path: '/x' });
    await app.line(/^request .x/);
    app.signal();
    assert.strictEqual((await answer).status, 200);
    assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  });
}

test('an exit code that the app has chosen is its own', async () => {
  const app = start(null, { node: ['-e', 'process.exitCode = 7'] });
  assert.deepStrictEqual(await app.ended, { code: 7, signal: null });
});

test('exit hooks run after the last answer', async () => {
  const app = start('hooked.js', { env: { ANNOUNCE: '1' } });
  const port = await app.port();
  const answer = get(port, { path: '/x' });
  await app.line(/^request .x/);
  app.signal();
  assert.strictEqual((await answer).status, 200);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  assert.strictEqual(app.lines.filter((line) => line.startsWith('hook')).join(), 'hook SIGTERM');
});

test('a program that removes its handler and signals itself again dies of the signal', async () => {
  const app = start('hooked.js', { env: { NO_SERVER: '1' } });
  await app.line(/^waiting/);
  app.signal();
  assert.deepStrictEqual(await app.ended, { code: null, signal: 'SIGTERM' });
  assert.strictEqual(app.lines.filter((line) => line.startsWith('hook')).join(), 'hook SIGTERM');
});

test('a listener that a runner hides hears the signal, and does not end the app', async () => {
  const app = start('hidden.js', { env: { ANNOUNCE: '1' } });
  const port = await app.port();
  const answer = get(port, { path: '/x' });
  await app.line(/^request .x/);
  app.signal();
  assert.strictEqual((await answer).status, 200);
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  assert.deepStrictEqual(app.lines.filter((line) => line.startsWith('hidden')), ['hidden SIGTERM']);
});

test('at the deadline what remains is let go, and the process ends by itself', async () => {
  const app = start('classic.js', { env: { ANNOUNCE: '1', DELAY: '60000', CLUSTERCTL_KILL_TIMEOUT_MS: '400' } });
  const port = await app.port();
  const answer = get(port, { path: '/x' });
  answer.catch(() => {});
  await app.line(/^request .x/);
  app.signal();
  assert.deepStrictEqual(await app.ended, { code: 0, signal: null });
  await assert.rejects(answer);
});
