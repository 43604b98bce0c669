'use strict';
const assert = require('assert');
const net = require('net');
const test = require('node:test');
const { start, closed } = require('./harness.cjs');

const CLEAN = { code: 0, signal: null };

function post(number) {
  const body = 'x'.repeat(1000);
  return `POST /${number} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

function batch(from, to) {
  return Array.from({ length: to - from + 1 }, (_, index) => post(from + index)).join('');
}

function connect(port) {
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  const client = { socket, text: '', write: (text) => socket.write(text) };
  socket.on('data', (part) => { client.text += part; });
  client.ended = new Promise((resolve, reject) => { socket.on('close', resolve).on('error', reject); });
  client.answers = () => (client.text.match(/hello \d+/g) || []).map((text) => Number(text.slice(6)));
  /// The number of the answer that says that it is the last.
  client.last = () => client.text.split('HTTP/1.1 ').map((answer) => (/connection: close/i.test(answer) ? Number(/hello (\d+)/.exec(answer)[1]) : 0))
    .filter(Boolean);
  return client;
}

for (const order of ['at once', 'body', 'backwards', 'slow']) {
  test(`a batch that was sent before the drain is answered whole (${order})`, async () => {
    const app = start('pipelined.js', { env: { ORDER: order } });
    const client = connect(await app.port());
    client.write(batch(1, 5));
    await app.line(/^request 5/);
    app.signal();
    await closed(await app.port());
    client.write(batch(6, 10));
    await client.ended;
    const expected = client.answers().length === 5 ? 5 : 10;
    assert.deepStrictEqual(client.answers(), Array.from({ length: expected }, (_, index) => index + 1));
    assert.deepStrictEqual(client.last(), [expected]);
    assert.deepStrictEqual(await app.ended, CLEAN);
    assert.strictEqual(app.lines.filter((line) => /^request/.test(line)).length, expected);
  });
}

for (const order of ['at once', 'body', 'backwards']) {
  test(`a batch in one packet during the drain is answered whole (${order})`, async () => {
    const app = start('pipelined.js', { env: { ORDER: order } });
    const port = await app.port();
    const client = connect(port);
    client.write(post(0));
    await app.line(/^request 0/);
    app.signal();
    await closed(port);
    client.write(batch(1, 5));
    await client.ended;
    assert.deepStrictEqual(client.answers(), [0, 1, 2, 3, 4, 5]);
    assert.deepStrictEqual(client.last(), [5]);
    assert.deepStrictEqual(await app.ended, CLEAN);
  });
}

test('the half of a request that came with the one before is waited for', async () => {
  const app = start('pipelined.js', { env: { ORDER: 'body', CLUSTERCTL_KILL_TIMEOUT_MS: '4000' } });
  const port = await app.port();
  const client = connect(port);
  client.write(post(0));
  await app.line(/^request 0/);
  app.signal();
  await closed(port);
  const half = post(2).slice(0, 20);
  client.write(post(1) + half);
  await app.line(/^request 1/);
  // Longer than idle connections stay open.
  const silent = net.connect(port, '127.0.0.1').on('error', () => {});
  silent.destroy();
  await new Promise((resolve) => { setTimeout(resolve, 1500); });
  client.write(post(2).slice(20));
  await client.ended;
  assert.deepStrictEqual(client.answers(), [0, 1, 2]);
  assert.deepStrictEqual(client.last(), [2]);
  assert.deepStrictEqual(await app.ended, CLEAN);
});
