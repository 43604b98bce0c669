'use strict';
const assert = require('assert');
const dgram = require('dgram');
const test = require('node:test');
const { start } = require('./harness.cjs');

test('a datagram that was read is answered, a later one waits for the next instance', () => twoInstances({}));

test('the same in a worker thread', () => twoInstances({ THREAD: '1' }));

async function twoInstances(env) {
  const held = dgram.createSocket('udp4');
  await new Promise((resolve) => { held.bind(0, '127.0.0.1', resolve); });
  const { handle } = held[Object.getOwnPropertySymbols(held).find((symbol) => held[symbol] && held[symbol].handle)];
  handle.recvStop();
  const client = dgram.createSocket('udp4');
  const answer = new Promise((resolve) => { client.on('message', (message) => resolve(String(message))); });
  const instance = () => start('udp.js', { env: { LISTEN_FDS: '1', ...env }, stdio: [handle.fd] });
  const send = (text) => client.send(text, held.address().port, '127.0.0.1');

  const old = instance();
  await old.line(/^listening/);
  send('one');
  await old.line(/^request one/);
  old.signal();
  assert.strictEqual(await answer, 'hello one');
  send('two');
  assert.deepStrictEqual(await old.ended, { code: 0, signal: null });
  assert.deepStrictEqual(old.lines, ['listening', 'request one']);

  const next = instance();
  await next.line(/^request two/);
  next.signal();
  await next.ended;
  client.close();
  held.close();
}
