'use strict';
// Starts fixtures under clusterctl.cjs and talks to them. No test waits for a fixed time to pass.
const { spawn } = require('child_process');
const http = require('http');
const net = require('net');
const path = require('path');

const SHIM = path.join(__dirname, 'clusterctl.cjs');
const FIXTURES = path.join(__dirname, 'fixtures');
const running = new Set();
// Long enough for a loaded machine; a test that waits this long has failed.
const PATIENCE_MS = 60000;

process.on('exit', () => { for (const child of running) killTree(child.pid, 'SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

function killTree(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}

/// A process under the shim. `lines` has its output so far; `line(pattern)` waits for one; `ended` tells how it ended.
function start(file, { env = {}, node = [], requires = [], shim = true, args = [], input = 'ignore', stdio = [] } = {}) {
  const options = [...requires.map((name) => path.join(FIXTURES, name)), ...(shim ? [SHIM] : [])]
    .map((name) => `--require ${name}`).join(' ');
  const script = file === null ? [] : [path.isAbsolute(file) ? file : path.join(FIXTURES, file)];
  const child = spawn(process.execPath, [...node, ...script, ...args], {
    env: { ...process.env, NODE_TEST_CONTEXT: '', NODE_OPTIONS: options, ...env },
    stdio: [input, 'pipe', 'pipe', ...stdio],
    detached: true,
  });
  running.add(child);
  const app = { child, pid: child.pid, lines: [], waiting: [] };
  for (const stream of [child.stdout, child.stderr]) readLines(stream, (line) => accept(app, line));
  app.ended = new Promise((resolve) => child.on('close', (code, signal) => {
    running.delete(child);
    resolve({ code, signal });
    for (const { pattern, reject } of app.waiting) {
      reject(new Error(`ended (${code}, ${signal}) before ${pattern}:\n${app.lines.join('\n')}`));
    }
  }));
  app.line = (pattern) => waitForLine(app, pattern);
  app.port = async () => Number((await app.line(/^listening (\d+)/))[1]);
  app.signal = (signal = 'SIGTERM') => child.kill(signal);
  // What a manager does by default: every process of the unit gets it.
  app.signalTree = (signal = 'SIGTERM') => killTree(app.pid, signal);
  return app;
}

function readLines(stream, give) {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    lines.forEach(give);
  }).on('end', () => { if (rest) give(rest); });
}

function accept(app, line) {
  app.lines.push(line);
  app.waiting = app.waiting.filter(({ pattern, resolve }) => {
    const match = pattern.exec(line);
    if (match) resolve(match);
    return !match;
  });
}

function waitForLine(app, pattern) {
  for (const line of app.lines) {
    const match = pattern.exec(line);
    if (match) return Promise.resolve(match);
  }
  return new Promise((resolve, reject) => {
    app.waiting.push({ pattern, resolve, reject });
    setTimeout(() => reject(new Error(`no ${pattern}, but:\n${app.lines.join('\n')}`)), PATIENCE_MS).unref();
  });
}

/// One request; `connection` is what the answer says about it. Rejects on any reset.
function get(port, { agent, library = http, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const request = library.request({ host: '127.0.0.1', port, agent, rejectUnauthorized: false, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => { body += text; }).on('error', reject).on('end', () => resolve({
        status: response.statusCode, body, connection: response.headers.connection,
        reused: request.reusedSocket, headers: response.headers,
      }));
    });
    request.on('error', reject);
    request.end(options.body);
  });
}

/// The drain has begun: nobody listens any more. It pauses between two attempts: Node 18 accepts until nobody waits, and
/// a client that comes again at once would keep the listener open until the app has ended.
async function closed(port) {
  for (;;) {
    const refused = await new Promise((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.on('connect', () => { socket.destroy(); resolve(false); }).on('error', (error) => resolve(error.code === 'ECONNREFUSED'));
    });
    if (refused) return;
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
}

module.exports = { SHIM, FIXTURES, start, get, closed };
