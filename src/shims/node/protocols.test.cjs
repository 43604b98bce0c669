'use strict';
const assert = require('assert');
const { execFileSync } = require('child_process');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const net = require('net');
const os = require('os');
const path = require('path');
const test = require('node:test');
const tls = require('tls');
const { start, get, closed } = require('./harness.cjs');

const TLS_DIR = fs.mkdtempSync(path.join(os.tmpdir(), 'clusterctl-node-'));
test.after(() => fs.rmSync(TLS_DIR, { recursive: true }));
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
  '-keyout', path.join(TLS_DIR, 'key.pem'), '-out', path.join(TLS_DIR, 'cert.pem'), '-subj', '/CN=localhost'],
{ stdio: 'ignore' });

const CLEAN = { code: 0, signal: null };

function serve(protocol, env = {}) {
  return start('protocols.js', { env: { PROTOCOL: protocol, TLS_DIR, KEEP_BUSY: '1', ...env } });
}

for (const [protocol, library] of [['http', http], ['https', https], ['http2s', https]]) {
  test(`${protocol}: in-flight and idle keep-alive connections get their last answer`, async () => {
    const app = serve(protocol, { DELAY: '200' });
    const port = await app.port();
    const agent = new library.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
    const busy = new library.Agent({ keepAlive: true, rejectUnauthorized: false });
    await get(port, { library, agent });
    const answer = get(port, { library, agent: busy });
    await app.line(/^request 2/);
    app.signal();
    await closed(port);
    const last = await get(port, { library, agent });
    assert.deepStrictEqual([last.reused, last.connection, last.body], [true, 'close', 'hello\n']);
    assert.strictEqual((await answer).connection, 'close');
    assert.deepStrictEqual(await app.ended, CLEAN);
  });

  test(`${protocol}: a connection that stays idle does not hold the process`, async () => {
    const app = serve(protocol, { CLUSTERCTL_KILL_TIMEOUT_MS: '1000' });
    const port = await app.port();
    const agent = new library.Agent({ keepAlive: true, rejectUnauthorized: false });
    await get(port, { library, agent });
    const silent = net.connect(port, '127.0.0.1');
    const over = new Promise((resolve) => { silent.on('close', (failed) => resolve(failed)); });
    await new Promise((resolve) => { silent.on('connect', resolve); });
    await get(port, { library, agent: false });
    app.signal();
    silent.resume();
    assert.strictEqual(await over, false);
    assert.deepStrictEqual(await app.ended, CLEAN);
  });
}

for (const [protocol, scheme] of [['http2', 'http'], ['http2s', 'https']]) {
  const crossed = protocol === 'http2' ? 'is answered too' : 'is refused as not begun';
  test(`${protocol}: open streams are answered, one that crosses the GOAWAY ${crossed}`, async () => {
    const app = serve(protocol, { DELAY: '200' });
    const line = await delayLine(await app.port());
    const session = http2.connect(`${scheme}://127.0.0.1:${line.port}`, { rejectUnauthorized: false });
    const goneAway = new Promise((resolve) => { session.on('goaway', resolve); });
    const idle = http2.connect(`${scheme}://127.0.0.1:${await app.port()}`, { rejectUnauthorized: false });
    await new Promise((resolve) => { idle.on('connect', resolve); });
    const early = ask(session);
    await app.line(/^request 1/);
    line.hold();
    app.signal();
    await closed(await app.port());
    const crossing = ask(session);
    crossing.catch(() => {});
    line.release();
    assert.strictEqual(await goneAway, 0);
    assert.strictEqual(await early, 'hello\n');
    if (protocol === 'http2') assert.strictEqual(await crossing, 'hello\n');
    else await assert.rejects(crossing, /NGHTTP2_REFUSED_STREAM/);
    assert.deepStrictEqual(await app.ended, CLEAN);
    idle.destroy();
    line.close();
  });
}

for (const [protocol, connect] of [['net', (port) => net.connect(port, '127.0.0.1')],
  ['tls', (port) => tls.connect(port, '127.0.0.1', { rejectUnauthorized: false })]]) {
  test(`${protocol}: a connection of an unknown protocol goes on until the client is done`, async () => {
    const app = serve(protocol);
    const socket = connect(await app.port());
    socket.setEncoding('utf8');
    assert.strictEqual(await exchange(socket, 'a\n'), 'hello a\n');
    app.signal();
    await closed(await app.port());
    assert.strictEqual(await exchange(socket, 'b\n'), 'hello b\n');
    socket.end();
    assert.deepStrictEqual(await app.ended, CLEAN);
  });
}

test('an upgraded connection stays until shortly before kill_timeout', async () => {
  const app = serve('upgrade', { CLUSTERCTL_KILL_TIMEOUT_MS: '1500' });
  const port = await app.port();
  const socket = await new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', headers: { Connection: 'Upgrade', Upgrade: 'echo' } })
      .on('upgrade', (response, upgraded) => resolve(upgraded)).on('error', reject);
  });
  socket.setEncoding('utf8').on('error', () => {});
  app.signal();
  await closed(port);
  assert.strictEqual(await exchange(socket, 'still there\n'), 'hello still there\n');
  const over = new Promise((resolve) => { socket.on('close', resolve); });
  await over;
  assert.deepStrictEqual(await app.ended, CLEAN);
});

test('a streaming answer goes on to its end', async () => {
  const app = serve('stream');
  const port = await app.port();
  const parts = [];
  const whole = new Promise((resolve, reject) => {
    http.get({ port, host: '127.0.0.1', agent: new http.Agent({ keepAlive: true }) }, (response) => {
      response.setEncoding('utf8').on('error', reject).on('end', () => resolve(parts.join('')));
      response.on('data', (text) => { parts.push(text); app.child.kill('SIGUSR2'); });
      app.line(/^request 1/).then(() => app.signal());
    }).on('error', reject);
  });
  assert.strictEqual(await whole, 'part 0\npart 1\npart 2\nend\n');
  assert.deepStrictEqual(await app.ended, CLEAN);
});

for (const form of ['set', 'object', 'flat']) {
  test(`an app that insists on keep-alive (${form}) is overruled during the drain`, async () => {
    const app = serve('stubborn');
    const port = await app.port();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    assert.strictEqual((await get(port, { agent, path: `/${form}` })).connection, 'keep-alive');
    app.signal();
    await closed(port);
    const last = await get(port, { agent, path: `/${form}` });
    assert.deepStrictEqual([last.reused, last.connection, last.headers['x-form']], [true, 'close', form]);
    assert.deepStrictEqual(await app.ended, CLEAN);
  });
}

test('an answer given before the whole request was sent arrives', async () => {
  const app = serve('hasty');
  const port = await app.port();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  await get(port, { agent });
  app.signal();
  await closed(port);
  const body = Buffer.alloc(8 << 20, 'x');
  assert.strictEqual((await get(port, { agent, method: 'POST', body })).body, 'hello\n');
  agent.destroy();
  assert.deepStrictEqual(await app.ended, CLEAN);
});

test('pipelined requests are all answered', async () => {
  const app = serve('http', { DELAY: '400' });
  const port = await app.port();
  const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  let text = '';
  socket.on('data', (part) => { text += part; });
  socket.write(request);
  await app.line(/^request 1/);
  app.signal();
  await closed(port);
  socket.write(request.repeat(3));
  await new Promise((resolve) => { socket.on('close', resolve); });
  assert.strictEqual(text.match(/hello/g).length, 4);
  assert.strictEqual(text.match(/Connection: close/g).length, 1);
  assert.deepStrictEqual(await app.ended, CLEAN);
});

function ask(session) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':path': '/' });
    let body = '';
    stream.setEncoding('utf8').on('data', (text) => { body += text; }).on('error', reject).on('end', () => resolve(body));
  });
}

/// A connection to `port` on which the way back can be held: what the server says is then still under way.
async function delayLine(port) {
  let held = null;
  const sockets = [];
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    sockets.push(client);
    client.pipe(upstream);
    upstream.on('data', (data) => {
      if (held) held.push(data);
      else client.write(data);
    }).on('end', () => client.end()).on('error', () => client.destroy());
    client.on('error', () => upstream.destroy());
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    port: server.address().port,
    hold() { held = []; },
    release() {
      const data = held;
      held = null;
      sockets[0].write(Buffer.concat(data));
    },
    close: () => server.close(),
  };
}

function exchange(socket, line) {
  return new Promise((resolve, reject) => {
    socket.once('data', resolve).once('error', reject);
    socket.write(line);
  });
}
