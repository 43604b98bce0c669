'use strict';
// Instances of an app on one inherited listener, replaced one by one as a unit manager does.
const { execFileSync } = require('child_process');
const net = require('net');
const { start } = require('./harness.cjs');

/// A listener that only its heirs accept on. A child makes it listen and is gone: done here, libuv would accept as well.
/// With `preload`, that library does the handover, else its stand-in.
function hold({ preload = process.env.CLUSTERCTL_PRELOAD } = {}) {
  const handle = net._createServerHandle('127.0.0.1', 0, 4);
  if (typeof handle === 'number') throw new Error(`bind failed: ${handle}`);
  const name = {};
  handle.getsockname(name);
  const listen = 'require("net").createServer().listen({ fd: 3 }, () => process.exit())';
  execFileSync(process.execPath, ['-e', listen], { stdio: ['ignore', 'inherit', 'inherit', handle.fd] });
  return { port: name.port, fd: handle.fd, preload, close: () => handle.close() };
}

/// One instance that listens (its first line says so).
async function instance(held, file, { env = {}, ...options } = {}) {
  const app = start(file, {
    ...options,
    requires: held.preload ? [] : ['take-fd.cjs'],
    env: {
      PORT: String(held.port), LISTEN_FDS: '1', LISTEN_FDNAMES: 'http',
      ...(held.preload ? { LD_PRELOAD: held.preload, CLUSTERCTL_READY: 'first' } : {}), ...env,
    },
    stdio: [held.fd],
  });
  await app.line(/^listening/);
  return app;
}

/// Replaces every instance: the old one is told to stop, a new one starts when it is gone. Resolves to the new ones.
async function replaceAll(apps, again, tree) {
  const fresh = [];
  const ends = [];
  for (const app of apps) {
    if (tree) app.signalTree();
    else app.signal();
    ends.push(await app.ended);
    fresh.push(await again());
  }
  return { apps: fresh, ends };
}

module.exports = { hold, instance, replaceAll };
