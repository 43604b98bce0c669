'use strict';
// The Node half of the handover: loaded into unmodified apps with `NODE_OPTIONS=--require`.
//
// It answers `process.send('ready')`, and on SIGTERM it lets the app finish what it has begun: no new connections,
// one last answer with `Connection: close` on every open one, an end in their own protocol for streams that have none.
// Then the app's own handlers of the signal run, or the process exits. Listening sockets are the preload library's
// business: `listen()` is never rewritten here. Until the signal comes, nothing in the process behaves
// differently; no dependency, no thread, and nothing that keeps the process alive, save that the channel of PM2 does
// while the app listens to it.
//
// Node internals are used defensively: where one is missing, the feature is missing, and the app runs as without us.
//
// The Node file sees servers listen through a proxy without a trap (`watchServers`): no frame of
// ours shows in a stack. Worker threads get no signals; the main thread tells them on a broadcast
// channel, and an array shared by all threads says who still serves, by thread id, since one that
// is terminated cannot say that it ended.
//
// The Node file tells clients first and hands the signal on afterwards: handlers of programs and
// packages close or end everything at once (`process.exit(0)`, http-terminator; fastify answers
// 503), which lost 5 to 58 requests per reload. The wait counts only what has an end, since a
// websocket would delay the handler to the end of `kill_timeout`.
//
// An answer that is given while its request is still being parsed is held back until the packet is
// (Node file, during a drain alone): the next pipelined request may be in it, and `Connection:
// close` belongs on the last one.
//
// HTTP/2 without TLS gets two GOAWAYs: the first leaves all streams open and is written beside
// Node's own output, since Node offers none that nghttp2 does not take for the last; the second
// follows the answer to a ping. Node's TLS aborts the process when a second write meets one that is
// under way, so there is one GOAWAY there.

const fs = require('fs');
const path = require('path');
const { setTimeout, setInterval, setImmediate, clearInterval } = globalThis;
const { unlinkSync } = fs;

// What the preload library answers when one of these is unlinked: `handover::environment`.
const NOTIFY = '/proc/self/clusterctl/notify/';
const UNREAD = '/proc/self/clusterctl/unread/';
const END = '/proc/self/clusterctl/end/';
const MARKER = 'CLUSTERCTL_NODE_APP';
const WORKER_MARKER = 'CLUSTERCTL_NODE_WORKER';
const WRAPPER_MARKER = 'CLUSTERCTL_NODE_WRAPPER';
const FIRST_INHERITED_FD = 3;
// Where the preload library keeps them as well. Node hides the first ones from its children, those of `npm start` too.
const HOME_FD = 900;
// What the threads of a process share, as environment data of its workers; the channel on which they are told to drain.
const SHARED = 'clusterctl';
const MOST_THREADS = 512;
const SWEEP_MS = 50;
// Work of the app that holds up everything else.
const PAUSE_MS = 20;
// The longest that a timer can be set to.
const FOREVER_MS = 2 ** 31 - 1;
// What an app's own cluster primary says to its workers when it has handed over all connections that it accepted: Node
// keeps messages with this beginning from the app.
const RELEASE = 'NODE_CLUSTERCTL_RELEASE';
// What a worker says to its primary when nothing is under way with it any more.
const QUIET = 'NODE_CLUSTERCTL_QUIET';
// Work that an app does right after its last answer (a log line, a query) gets this long.
const AFTERGLOW_MS = 20;

// Programs that only start others. They pass the handover on and stay as they are, unless they take a listener.
const WRAPPERS = new Set(['npm', 'npm-cli', 'npx', 'npx-cli', 'yarn', 'yarnpkg', 'pnpm', 'pnpx', 'corepack', 'tsx',
  'ts-node-dev', 'tsnd', 'nodemon', 'cross-env', 'cross-env-shell', 'env-cmd', 'dotenv', 'dotenv-cli', 'dotenvx',
  'concurrently', 'npm-run-all', 'npm-run-all2', 'run-s', 'run-p', 'wireit', 'turbo', 'nx', 'lerna', 'nest']);
const OWN_VARIABLES = ['CLUSTERCTL_WAIT_READY', 'CLUSTERCTL_SHUTDOWN_WITH_MESSAGE', 'CLUSTERCTL_KILL_TIMEOUT_MS',
  'CLUSTERCTL_STREAM_TIMEOUT_MS', 'CLUSTERCTL_KILL_SIGNAL'];

const threads = require('worker_threads');
const { settings, inherited, servingThreads } = threads.isMainThread ? shareWithThreads() : ofMainThread();
const realChannel = typeof process.send === 'function';
let role = null;

// ---------------------------------------------------------------------------------------------- start

function start() {
  if (!threads.isMainThread) {
    role = 'thread';
    if (servingThreads) {
      watchServers();
      watchDatagrams();
    }
    return;
  }
  role = chooseRole();
  watchServers();
  watchListeners();
  if (role === 'app') becomeApp();
  if (role === 'worker') {
    listenToPrimary();
    cleanEnvironment();
  }
}

/// `app`: the program the unit is for. `worker`: of the app's own cluster. `maybe`: a wrapper, or some child of a
/// program that has not taken a listener yet; it becomes the app when it takes one. `thread`: a worker thread, which
/// finishes what it has begun when the main thread says so.
function chooseRole() {
  const { env } = process;
  if (isWrapper(process.argv[1])) {
    env[WRAPPER_MARKER] = String(process.pid);
    return 'maybe';
  }
  if (realChannel && env[WORKER_MARKER]) return 'worker';
  if (realChannel) return isWrapped() ? 'app' : 'maybe';
  return env[MARKER] && env[MARKER] !== String(process.pid) ? 'maybe' : 'app';
}

function isWrapper(script) {
  if (!script) return false;
  const name = path.basename(script).replace(/\.[cm]?js$/, '').replace(/-\d[\w.-]*$/, '');
  if (WRAPPERS.has(name)) return true;
  const pkg = /.*[\\/]node_modules[\\/](@[^\\/]+[\\/])?([^\\/]+)[\\/]/.exec(script);
  return pkg !== null && WRAPPERS.has(pkg[2]);
}

/// Some wrappers (tsx) talk to the program that they start. Then its channel is theirs.
function isWrapped() {
  return process.env[WRAPPER_MARKER] === String(process.ppid);
}

function becomeApp() {
  role = 'app';
  if (!realChannel) emulateChannel();
  else if (isWrapped()) listenToReady();
  if (inherited.size > 0) {
    process.env[MARKER] = String(process.pid);
    ownSignal();
  } else {
    cleanEnvironment();
  }
}

function readSettings(env) {
  const timeout = Number(env.CLUSTERCTL_KILL_TIMEOUT_MS);
  const killTimeout = timeout > 0 ? timeout : 10000;
  const streams = Number(env.CLUSTERCTL_STREAM_TIMEOUT_MS || NaN);
  const streamTimeout = streams >= 0 ? streams : killTimeout;
  return {
    waitReady: env.CLUSTERCTL_WAIT_READY === '1',
    shutdownMessage: env.CLUSTERCTL_SHUTDOWN_WITH_MESSAGE === '1',
    signal: env.CLUSTERCTL_KILL_SIGNAL || 'SIGTERM',
    // The ends come a little before the manager's own, so that they are ours.
    deadline: beforeEnd(killTimeout),
    streamDeadline: beforeEnd(streamTimeout),
    idleWindow: Math.min(2000, killTimeout / 4),
    // A connection that was never used has a client that has not come to its first request yet.
    freshWindow: Math.min(5000, killTimeout / 2),
    // What is left of the time then belongs to the app's own handler.
    handlerBy: killTimeout - Math.min(5000, killTimeout / 4),
    passOn: OWN_VARIABLES.filter((name) => env[name] !== undefined).map((name) => `${name}=${env[name]}`),
  };
}

function beforeEnd(timeout) {
  return timeout - Math.min(timeout / 2, Math.max(100, timeout / 10));
}

function inheritedSockets(env) {
  const found = new Set();
  const count = Number(env.LISTEN_FDS) || 0;
  for (let i = 0; i < count; i++) found.add(socketOf(HOME_FD + i) || socketOf(FIRST_INHERITED_FD + i));
  found.delete(null);
  return found;
}

/// `socket:[inode]` of a descriptor: equal for all duplicates of one socket.
function socketOf(fd) {
  try {
    const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
    return target.startsWith('socket:') ? target : null;
  } catch {
    return null;
  }
}

function now() {
  return process.uptime() * 1000;
}

// ---------------------------------------------------------------------------------------------- threads

/// Gives every worker thread to come what it needs to drain, and a place to say that it serves.
function shareWithThreads() {
  const shared = {
    settings: readSettings(process.env),
    inherited: inheritedSockets(process.env),
    servingThreads: new Int32Array(new SharedArrayBuffer(MOST_THREADS * Int32Array.BYTES_PER_ELEMENT)),
  };
  threads.setEnvironmentData(SHARED, shared);
  return shared;
}

/// What the main thread shares with its workers; empty where the process had no `shareWithThreads()`.
function ofMainThread() {
  return threads.getEnvironmentData(SHARED) || {};
}

let place = null;

/// A worker thread has its first server or datagram listener: signals do not reach it, so it waits for the main thread's word.
function joinDrain() {
  if (place !== null) return;
  const id = Number(path.basename(fs.readlinkSync('/proc/thread-self')));
  place = servingThreads.findIndex((_, index) => {
    const holder = Atomics.load(servingThreads, index);
    return !threadLives(holder) && Atomics.compareExchange(servingThreads, index, holder, id) === holder;
  });
  const channel = new threads.BroadcastChannel(SHARED);
  channel.onmessage = () => drain.begin();
  channel.unref();
}

function leaveDrain() {
  drain.finished = true;
  clearInterval(drain.timer);
  if (place !== -1) Atomics.store(servingThreads, place, 0);
}

/// Whether a worker still serves. One that was terminated could not say that it ended.
function threadsServe() {
  return servingThreads.some(threadLives);
}

function threadLives(id) {
  return id !== 0 && fs.existsSync(`/proc/self/task/${id}`);
}

function tellThreads() {
  if (role === 'thread' || !threadsServe()) return;
  const channel = new threads.BroadcastChannel(SHARED);
  channel.postMessage('drain');
  channel.close();
}

// ---------------------------------------------------------------------------------------------- environment

/// Children of the app are not ours: they start as without the handover.
function cleanEnvironment() {
  const { env } = process;
  if (env.NODE_OPTIONS !== undefined) {
    const rest = withoutOurs(env.NODE_OPTIONS);
    if (rest === '') delete env.NODE_OPTIONS;
    else if (rest !== env.NODE_OPTIONS) env.NODE_OPTIONS = rest;
  }
  for (const name of [...OWN_VARIABLES, MARKER, WORKER_MARKER, WRAPPER_MARKER]) delete env[name];
}

function withoutOurs(options) {
  const argument = /(?:^|\s)(?:--require|-r)(?:=|\s+)("(?:\\.|[^"\\])*"|(?:\\.|[^\s"\\])+)/g;
  const kept = options.replace(argument, (whole, file) => (isThisFile(unquote(file)) ? '' : whole));
  return kept === options ? options : kept.trim();
}

function unquote(word) {
  const inner = word.startsWith('"') ? word.slice(1, -1) : word;
  return inner.replace(/\\(.)/g, '$1');
}

function isThisFile(file) {
  if (path.resolve(file) === __filename) return true;
  try {
    return fs.realpathSync(file) === fs.realpathSync(__filename);
  } catch {
    return false;
  }
}

// ---------------------------------------------------------------------------------------------- readiness

/// Gives the app the channel that it would have under PM2. Only `'ready'` means anything; nobody sends messages back.
/// As a real one it keeps the process alive while somebody listens to it.
function emulateChannel() {
  const give = (name, value) => Object.defineProperty(process, name, {
    value, configurable: true, enumerable: true, writable: true,
  });
  channel.connected = true;
  give('connected', true);
  give('channel', {
    ref() { channel.wanted = true; holdChannel(); },
    unref() { channel.wanted = false; holdChannel(); },
    fd: undefined,
  });
  give('send', function send(message, ...rest) {
    const { connected } = channel;
    const callback = rest.find((argument) => typeof argument === 'function');
    const error = connected ? null : Object.assign(new Error('Channel closed'), { code: 'ERR_IPC_CHANNEL_CLOSED' });
    if (connected && message === 'ready' && settings.waitReady) notify('READY=1');
    if (callback) process.nextTick(callback, error);
    return connected;
  });
  give('disconnect', function disconnect() {
    if (!channel.connected) return;
    channel.connected = false;
    process.connected = false;
    process.channel = null;
    holdChannel();
    process.nextTick(() => process.emit('disconnect'));
  });
  holdChannel();
}

/// Takes `process.send('ready')`, and does not pass it on to a wrapper that started the app.
function listenToReady() {
  if (!settings.waitReady) return;
  process.send = new Proxy(process.send, {
    apply(send, self, args) {
      if (args[0] === 'ready') notify('READY=1');
      return Reflect.apply(send, self, args);
    },
  });
}

/// `wanted`: what the app said with `ref()` and `unref()`; `null` leaves it to the number of listeners.
const channel = { connected: false, wanted: null, timer: null };

function holdChannel() {
  const listeners = process.listenerCount('message') + process.listenerCount('disconnect');
  const held = channel.connected && !drain.running && (channel.wanted === null ? listeners > 0 : channel.wanted);
  if (held && !channel.timer) channel.timer = setInterval(() => {}, FOREVER_MS);
  if (held || !channel.timer) return;
  clearInterval(channel.timer);
  channel.timer = null;
}

function notify(state) {
  try {
    unlinkSync(NOTIFY + state);
  } catch {
    // Without the preload library nobody waits for the message.
  }
}

// ---------------------------------------------------------------------------------------------- signal

let ownsSignal = false;
const called = new WeakSet();

/// Sees listeners before they are added. Node starts catching a signal at its first listener; for the kill signal that
/// is our part, so that the polite half of the work is done before the app's own handlers run, whatever their order.
function watchListeners() {
  const node = process.listeners('newListener').find((listener) => listener.name === 'startListeningIfSignal');
  if (!node) return;
  process.removeListener('newListener', node);
  process.on('newListener', function startListeningIfSignal(type, ...rest) {
    if (role !== 'maybe' && needsSignal(type)) ownSignal();
    if (type === 'internalMessage' && !realChannel) becomeClusterPrimary();
    if (isOfChannel(type)) process.nextTick(holdChannel);
    if (type !== settings.signal || !ownsSignal) node.call(this, type, ...rest);
  });
  watchRemovals();
}

function watchRemovals() {
  const node = process.listeners('removeListener').find((listener) => listener.name === 'stopListeningIfSignal');
  if (!node) return;
  process.removeListener('removeListener', node);
  process.on('removeListener', function stopListeningIfSignal(type, ...rest) {
    if (isOfChannel(type)) process.nextTick(holdChannel);
    node.call(this, type, ...rest);
  });
}

function isOfChannel(type) {
  return channel.connected && (type === 'message' || type === 'disconnect');
}

function needsSignal(type) {
  return type === settings.signal || type === 'SIGINT' || (type === 'message' && settings.shutdownMessage);
}

/// Catches the kill signal without a listener that the app could see or count.
function ownSignal() {
  if (ownsSignal) return;
  const Signal = signalClass();
  if (!Signal) return;
  const number = require('os').constants.signals[settings.signal];
  const wrap = new Signal();
  wrap.unref();
  wrap.onsignal = () => onKillSignal(wrap, number);
  if (wrap.start(number)) return;
  ownsSignal = true;
  // Listeners that were there before are added again through this file: once they are off, Node lets go of the signal.
  const present = process.rawListeners(settings.signal);
  for (const listener of present) process.removeListener(settings.signal, listener);
  for (const listener of present) process.on(settings.signal, listener);
}

/// Node's own class is no longer to be had by name (since 24), so it is taken from the first listener that Node serves.
function signalClass() {
  let wrap = null;
  const probe = () => {};
  Object.defineProperty(Object.prototype, 'onsignal', {
    configurable: true,
    set(value) {
      wrap = this;
      Object.defineProperty(this, 'onsignal', { value, writable: true, configurable: true, enumerable: true });
    },
  });
  try {
    process.on('SIGUSR2', probe);
  } finally {
    delete Object.prototype.onsignal;
    process.removeListener('SIGUSR2', probe);
  }
  return wrap && wrap.constructor;
}

/// Clients are told first. The app's handlers, which often close or end everything at once, get the signal when nothing
/// is under way any more.
function onKillSignal(wrap, number) {
  const work = drain.hasWork();
  if (!work && !handlerType()) {
    if (process.rawListeners(settings.signal).length > 0) process.emit(settings.signal, settings.signal, number);
    else dieOf(wrap);
    return;
  }
  drain.begin();
  callHidden(number);
  if (!work || drain.handedOn) handOn();
}

/// With nothing to finish, the process dies of the signal, as without this file.
function dieOf(wrap) {
  wrap.close();
  process.kill(process.pid, settings.signal);
}

/// What the app listens to of all that may tell it to end: the signal, PM2's message or PM2's SIGINT.
function handlerType() {
  if (settings.shutdownMessage && process.listenerCount('message') > 0) return 'message';
  return [settings.signal, 'SIGINT'].find((name) => process.listenerCount(name) > 0);
}

/// Gives the signal to the app's handlers, as they are now. Without any, the process ends when all is done.
function handOn() {
  const type = handlerType();
  const again = drain.handedOn;
  drain.handedOn = true;
  if (role === 'worker' && !again) tellPrimary();
  if (!type) drain.exit();
  else if (type !== 'message') runOnce(type, require('os').constants.signals[type]);
  else if (!again) process.emit('message', 'shutdown', undefined);
  tellOfEnds();
}

/// A wrapper and the manager may both send the signal: handlers run once. A handler that takes itself off and sends
/// the signal again (signal-exit) is gone by then, and the next handler decides.
function runOnce(type, number) {
  const listeners = process.rawListeners(type);
  if (listeners.every((listener) => called.has(listener))) return;
  for (const listener of listeners) called.add(listener);
  process.emit(type, type, number);
}

/// Listeners that a TypeScript runner hides from the app: they tell its parent that the signal has arrived, and end
/// the process if nobody else listens. With a stand-in they do the first alone.
function callHidden(number) {
  const { signal } = settings;
  const shown = new Set(process.listeners(signal));
  const hidden = process.rawListeners(signal).filter((listener) => !shown.has(listener.listener || listener));
  if (hidden.length === 0) return;
  const standIn = () => {};
  process.on(signal, standIn);
  for (const listener of hidden) listener.call(process, signal, number);
  process.removeListener(signal, standIn);
}

// ---------------------------------------------------------------------------------------------- servers

let servers = [];
const sessions = new Set();
const secured = new WeakMap();

/// Learns of every server that listens, in whatever form, from the method that Node keeps for wrapping. No code of ours
/// is on the stack while that runs, so that the stack of a failure has the frames that it always has: a proxy whose trap
/// is `undefined` calls its target, and looking for the trap is what tells us. Then Node stores the key of the connection.
function watchServers() {
  const { prototype } = require('net').Server;
  const listen2 = prototype._listen2;
  if (typeof listen2 !== 'function') return;
  prototype._listen2 = new Proxy(listen2, {
    get apply() {
      awaitKey(prototype);
      return undefined;
    },
  });
}

function awaitKey(prototype) {
  const key = '_connectionKey';
  const done = () => { delete prototype[key]; };
  Object.defineProperty(prototype, key, {
    configurable: true,
    set(value) {
      done();
      Object.defineProperty(this, key, { value, configurable: true, enumerable: true, writable: true });
      try {
        if (this._handle) onListen(this);
      } catch {
        // An app must not fail because of us.
      }
    },
  });
  // Where listening failed, or a server does so once more, nothing was stored.
  process.nextTick(done);
}

function onListen(server) {
  const held = isHeld(server);
  if (role === 'maybe') {
    if (!held) return;
    becomeApp();
  }
  if (held) cleanEnvironment();
  if (role === 'thread') joinDrain();
  else ownSignal();
  if (cluster) ofPrimary(server._handle);
  const known = servers.find((entry) => entry.server.deref() === server);
  if (!known) remember(server, held);
}

/// A worker that starts during the drain asks the primary to listen once more.
function ofPrimary(handle) {
  if (drain.running) setImmediate(() => handle.close());
  else primaryHandles.push(handle);
}

function isHeld(server) {
  const { _handle: handle } = server;
  return Boolean(handle) && typeof handle.fd === 'number' && inherited.has(socketOf(handle.fd));
}

function remember(server, held) {
  servers = servers.filter((entry) => entry.server.deref());
  servers.push({ server: new WeakRef(server), held, stopped: false, closed: false });
  if (typeof server.setSecureContext === 'function') {
    server.on('secureConnection', (socket) => { if (socket._parent) secured.set(socket._parent, socket); });
  }
  if (server.listenerCount('sessionError') > 0 || /^Http2/.test(server.constructor.name)) {
    server.on('session', rememberSession);
  }
}

// ---------------------------------------------------------------------------------------------- drain

const drain = {
  running: false,
  /// The app has no say: the process ends when all is done.
  exits: false,
  /// The app's handlers have been told.
  handedOn: false,
  finished: false,
  from: 0,
  quietFrom: 0,
  timer: null,

  hasWork() {
    return this.exits || cluster !== null || live(() => true).length > 0 || heldDatagrams().length > 0 || threadsServe();
  },

  begin() {
    if (this.running) return;
    this.running = true;
    this.from = now();
    holdChannel();
    if (role !== 'thread' && !handlerType()) this.exit();
    tellThreads();
    politeHttp();
    for (const entry of live(() => true)) entry.held = isHeld(entry.server.deref());
    for (const entry of publicServers()) stopAccepting(entry);
    for (const handle of primaryHandles) handle.close();
    if (cluster) {
      holdBackEnds(cluster);
      setImmediate(releaseWorkers, cluster);
    }
    for (const session of sessions) leaveSession(session);
    if (stopDatagrams()) this.quietFrom = now() + settings.idleWindow / 4;
    this.timer = setInterval(() => sweepSoon(), SWEEP_MS);
    this.timer.unref();
    for (const at of [settings.deadline, settings.streamDeadline]) setTimeout(atDeadline, at).unref();
    sweepSoon();
  },

  exit() {
    if (this.exits) return;
    this.exits = true;
    if (cluster) leaveCluster(cluster);
  },

  lasts() {
    return now() - this.from;
  },
};

/// Where the unit holds listeners, those are what clients see; servers beside them (metrics, an app's inner parts)
/// go on until the others are done.
function publicServers() {
  const held = live((entry) => entry.held);
  return held.length > 0 ? held : live(() => true);
}

function live(wanted) {
  return servers.filter((entry) => {
    const server = entry.server.deref();
    return server && wanted(entry) && (server._handle || server._connections > 0);
  });
}

function stopAccepting(entry) {
  const close = () => closeListener(entry);
  if (entry.stopped) return;
  entry.stopped = true;
  // Other instances take the connections that wait at a held listener. Those that wait at our own are accepted first.
  if (entry.held) close();
  else if (role === 'worker') whenReleased(close);
  else setImmediate(() => setImmediate(close));
}

/// Closes the listening handle only. The server itself still counts as listening, so that the app's own `close()`
/// does and reports what it always does.
function closeListener(entry) {
  const server = entry.server.deref();
  if (entry.closed) return;
  entry.closed = true;
  if (!server) return;
  const handle = server._handle;
  if (handle) {
    const name = {};
    if (typeof handle.getsockname === 'function') handle.getsockname(name);
    server._handle = {
      fd: -1,
      close(callback) { if (callback) process.nextTick(callback); },
      getsockname(out) { Object.assign(out, name); return 0; },
      getAsyncId() { return -1; },
      hasRef() { return false; },
      ref() {},
      unref() {},
    };
  }
  if (handle) handle.close();
  if (typeof server.closeIdleConnections === 'function') {
    // Node closes idle connections at once, in a race with the next request on them; the sweep does it with patience.
    Object.defineProperty(server, 'closeIdleConnections', { value() {}, configurable: true, writable: true });
  }
  sweepSoon();
}

/// Sweeps after the event loop has looked at the sockets once more: after a pause of the process, requests may wait on
/// connections that seem idle. If a pause comes in between, it waits for one more look.
function sweepSoon(tries = 5) {
  const from = now();
  setImmediate(() => {
    if (now() - from > PAUSE_MS && tries > 0) sweepSoon(tries - 1);
    else sweep();
  });
}

function sweep() {
  if (!drain.running || drain.finished) return;
  const publics = publicServers();
  const sockets = serverSockets(publics);
  for (const socket of sockets) look(socket, settings.idleWindow, settings.freshWindow);
  tellStreams(sockets);
  if (role !== 'thread' && !drain.exits && !drain.handedOn && mayHandOn(publics, sockets)) handOn();
  if (!quiet(publics)) return;
  if (role === 'thread') leaveDrain();
  // Otherwise the app ends by itself.
  if (!drain.exits) return;
  const rest = live((entry) => !publics.includes(entry));
  for (const entry of rest) stopAccepting(entry);
  for (const socket of serverSockets(rest)) look(socket, 0, 0);
  if (quiet(rest)) finish();
}

function quiet(entries) {
  if (now() < drain.quietFrom || (cluster && clusterBusy(cluster))) return false;
  if (role !== 'thread' && threadsServe()) return false;
  // As long as a listener is open, the next connection may be under way already.
  return entries.every(({ server, closed }) => !server.deref() || (closed && server.deref()._connections === 0));
}

/// Whether the app's handlers can have the signal: nothing is under way that has an end, or it is time.
function mayHandOn(entries, sockets) {
  if (drain.lasts() >= settings.handlerBy || !handlerType()) return true;
  if (now() < drain.quietFrom || threadsServe() || (cluster && workersServe(cluster))) return false;
  if (entries.some(({ server, closed }) => server.deref() && !closed)) return false;
  return !sockets.some(delaysHandlers);
}

/// Whether a connection keeps the app's handlers from getting the signal. A connection of HTTP does until it is closed.
/// One that may be endless, or whose protocol is unknown, does for as long as an idle connection is kept.
function delaysHandlers(socket) {
  if (drain.lasts() < settings.idleWindow) return true;
  const stream = secured.get(socket) || socket;
  return isHttp(socket, stream) && !isEndless(stream);
}

function serverSockets(entries) {
  const wanted = new Set(entries.map(({ server }) => server.deref()));
  return process._getActiveHandles().filter((handle) => wanted.has(handle._server));
}

const seen = new WeakMap();

/// Closes a connection that has been idle for the whole window. A connection in use, or of an unknown protocol
/// (WebSocket, plain TCP), stays.
function look(socket, idleWindow, freshWindow) {
  const stream = secured.get(socket) || socket;
  let state = seen.get(socket);
  if (!state) {
    state = { bytes: socket.bytesRead, since: now() };
    seen.set(socket, state);
    socket.once('close', () => sweepSoon());
    if (stream._httpMessage) lastAnswer(stream._httpMessage);
  }
  const window = stream.bytesRead === 0 ? freshWindow : idleWindow;
  if (socket.bytesRead !== state.bytes || isBusy(stream)) {
    state.bytes = socket.bytesRead;
    state.since = now();
  } else if (isIdleKind(socket, stream) && now() - state.since >= window && endsUnread(socket, stream)) {
    closePolitely(stream);
  }
}

/// Whether nothing waits to be read on a connection that is about to be closed: a request may have come since the event
/// loop looked, and is answered. Otherwise its client hears of the end at once, since Node sends FIN one turn of the event
/// loop later, and answers nothing that comes in between. TLS has to say first that it ends. Without the preload library
/// nobody looks.
function endsUnread(socket, stream) {
  const fd = socket._handle && socket._handle.fd;
  if (!(fd >= 0)) return true;
  try {
    unlinkSync((stream === socket && !socket.encrypted ? END : UNREAD) + fd);
    return false;
  } catch {
    return true;
  }
}

function isBusy(stream) {
  const { parser } = stream;
  const incoming = parser && parser.incoming;
  return Boolean(stream._httpMessage || (incoming && !incoming.complete) || stream.writableLength > 0)
    || nextHasBegun(stream);
}

function isHttp(socket, stream) {
  return isIdleKind(socket, stream) || sessionOf.has(stream);
}

function isIdleKind(socket, stream) {
  if (stream.parser) return true;
  // A TLS connection that has not even said hello.
  return stream === socket && typeof socket._server.setSecureContext === 'function' && !secured.has(socket);
}

/// Sends FIN and lets go: a request that crosses it is refused, not processed without an answer.
function closePolitely(stream) {
  if (typeof stream.destroySoon === 'function') stream.destroySoon();
  else stream.end();
}

function finish() {
  drain.finished = true;
  clearInterval(drain.timer);
  setTimeout(() => process.exit(0), AFTERGLOW_MS).unref();
}

/// Runs at each of two deadlines, which come in either order: that of streams without an end, and that of all other
/// connections.
function atDeadline() {
  const late = (at) => drain.lasts() >= at - 1;
  const all = late(settings.deadline) && late(settings.streamDeadline);
  for (const socket of serverSockets(live(() => true))) {
    const stream = secured.get(socket) || socket;
    if (late(isEndless(stream) ? settings.streamDeadline : settings.deadline)) end(stream);
  }
  if (all && drain.exits) process.exit(0);
}

function end(stream) {
  const session = sessionOf.get(stream);
  if (session) session.destroy();
  else stream.destroy();
}

// ---------------------------------------------------------------------------------------------- streams without an end

// Between two of them, where time allows.
const PACE_MS = 50;
// What a WebSocket is closed with: RFC 6455, registered by IANA.
const SERVICE_RESTART = 1012;
const EVENT_STREAM = /^text\/event-stream/i;
// When each of them is told to go.
const due = new WeakMap();
let firstTold = false;

/// Whether what a connection carries goes on until somebody ends it: WebSockets and whatever else was upgraded, tunnels,
/// events that the server sends, calls of gRPC that have sent a part of their answer.
function isEndless(stream) {
  const session = sessionOf.get(stream);
  if (session) {
    const streams = streamsOf(session);
    return streams.length > 0 && streams.every(isEndlessStream);
  }
  if (stream._httpMessage) return isEventStream(stream._httpMessage);
  return !stream.parser && isOfHttp(stream._server || stream.server);
}

/// Whether a server speaks HTTP: a connection of such a server without a parser was upgraded.
function isOfHttp(server) {
  return server instanceof require('http').Server || server instanceof require('https').Server;
}

function isEndlessStream(stream) {
  const sent = stream.sentHeaders || {};
  const type = String(sent['content-type'] || '');
  return EVENT_STREAM.test(type) || /^application\/grpc/i.test(type);
}

/// Whether an answer is a stream of events that a client opens again by itself. Events that answer anything but a GET,
/// such as the words of an answer to a prompt, have an end, and no client asks for them again.
function isEventStream(response) {
  const { req } = response;
  return Boolean(req) && req.method === 'GET' && /^content-type: *text\/event-stream/im.test(response._header || '');
}

/// Ends the streams on these connections in their own protocol, spread over time, since all their clients connect again
/// somewhere else.
function tellStreams(sockets) {
  const found = sockets.flatMap((socket) => endingsOf(secured.get(socket) || socket));
  const fresh = found.filter(({ of }) => !due.has(of));
  const window = drain.exits || role === 'thread' ? settings.streamDeadline / 2 : settings.idleWindow / 2;
  const step = firstTold ? 0 : Math.min(PACE_MS, window / fresh.length);
  firstTold = firstTold || fresh.length > 0;
  // A first pause, in which a stream that is about to end by itself can.
  fresh.forEach(({ of }, index) => due.set(of, now() + settings.idleWindow / 4 + index * step));
  for (const { of, tell } of found) if (now() >= due.get(of)) tell();
}

/// The streams of a connection that can be ended in their own protocol, each with how.
function endingsOf(stream) {
  const session = sessionOf.get(stream);
  if (session) {
    const events = streamsOf(session).filter(({ sentHeaders }) => EVENT_STREAM.test((sentHeaders || {})['content-type']));
    return events.map(endingOfEvents);
  }
  const response = stream._httpMessage;
  if (response) return isEventStream(response) ? [endingOfEvents(response)] : [];
  const socket = stream.parser ? undefined : websocketOf(stream);
  return socket ? [{ of: socket, tell: () => { if (socket.readyState === 1) socket.close(SERVICE_RESTART); } }] : [];
}

/// The object that the package ws, and with it socket.io and most others, keeps at the connection. Its own `close()`
/// knows where a frame ends.
function websocketOf(stream) {
  const found = stream[namedSymbol(stream, 'websocket')];
  return found && typeof found.close === 'function' && typeof found.readyState === 'number' ? found : undefined;
}

function namedSymbol(object, name) {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === name);
}

const eventEndings = new WeakMap();

/// Ends a stream of events behind a whole event. To the app it looks as if its client had left: what it writes
/// afterwards is thrown away.
function endingOfEvents(response) {
  if (!eventEndings.has(response)) eventEndings.set(response, watchEvents(response));
  return { of: response, tell: eventEndings.get(response) };
}

function watchEvents(response) {
  const { write, end: endAnswer } = response;
  const from = now();
  // The last bytes that were written. Before the first write that this function sees, only silence tells that an event is whole.
  let tail = '';
  let asked = false;
  let over = false;
  const tell = () => {
    asked = true;
    const whole = tail === '' ? now() - from >= settings.idleWindow / 2 : /(\n\n|\r\r|\r\n\r\n)$/.test(tail);
    if (over || !whole) return;
    over = true;
    endAnswer.call(response);
  };
  const passOn = (method, nothing) => function (...args) {
    const callback = args.find((argument) => typeof argument === 'function');
    if (over && callback) process.nextTick(callback);
    return over ? nothing : method.apply(this, args);
  };
  const watched = passOn(write, true);
  response.write = function (chunk, ...rest) {
    const written = watched.call(this, chunk, ...rest);
    if (!over && chunk) tail = (tail + Buffer.from(chunk).subarray(-4).toString('latin1')).slice(-4);
    if (asked) tell();
    return written;
  };
  response.end = passOn(endAnswer, response);
  return tell;
}

// ---------------------------------------------------------------------------------------------- HTTP/1

const told = new WeakSet();
// Requests whose surroundings are still being parsed.
const arriving = new WeakSet();

/// From now on every answer is the last one on its connection, unless more requests have come behind it.
function politeHttp() {
  const { prototype } = require('http').ServerResponse;
  const { _storeHeader: storeHeader, assignSocket } = prototype;
  if (typeof storeHeader !== 'function' || typeof assignSocket !== 'function') return;
  prototype._storeHeader = function _storeHeader(firstLine, headers) {
    if (!lastAnswer(this)) return storeHeader.call(this, firstLine, headers);
    return storeHeader.call(this, firstLine, withClose(headers));
  };
  prototype.assignSocket = function (socket) {
    if (arriving.has(this)) return holdBack(this, socket, assignSocket);
    settle(this);
    return assignSocket.call(this, socket);
  };
  starts = require('diagnostics_channel').channel('http.server.request.start');
  starts.subscribe(({ response }) => {
    arriving.add(response);
    setImmediate(() => arriving.delete(response));
  });
}

// Node keeps a channel that nobody refers to only as long as it likes.
let starts = null;

/// An answer that is given while its request is being parsed cannot know whether it is the last one: the next request may
/// be in the same packet. It waits for the rest as if an earlier answer were still being sent.
function holdBack(response, socket, assignSocket) {
  const before = { finished: false, _headerSent: true, emit() {}, destroy() {} };
  socket._httpMessage = before;
  response.socket = socket;
  setImmediate(() => {
    if (socket._httpMessage === before) socket._httpMessage = null;
    settle(response);
    assignSocket.call(response, socket);
    if (!socket.destroyed || response.destroyed) return;
    // The client has left meanwhile, which Node would have said.
    response.destroyed = true;
    response._closed = true;
    response.emit('close');
  });
}

/// Lets the client keep its connection after all, if another request has come behind this answer's. The answer is about
/// to be sent: this is the last moment to change its head.
function settle(response) {
  const header = response._header;
  const [first] = response.outputData || [];
  if (!header || !told.has(response) || isLast(response)) return;
  if (!first || typeof first.data !== 'string' || !first.data.startsWith(header)) return;
  if (response._hasBody && !/\r\n(content-length|transfer-encoding):/i.test(header)) return;
  const kept = header.replace(/\r\nconnection: close\r\n/i, '\r\nConnection: keep-alive\r\n');
  first.data = kept + first.data.slice(header.length);
  response._header = kept;
  response._last = false;
  response.shouldKeepAlive = true;
  told.delete(response);
}

/// Makes an answer the last one of its connection. False if a pipelined request waits behind it, whose answer is the last then.
function lastAnswer(response) {
  if (!isLast(response)) {
    if (!response._header && told.delete(response)) response.shouldKeepAlive = true;
    return false;
  }
  if (response.shouldKeepAlive) told.add(response);
  response.shouldKeepAlive = false;
  const socket = response.req && response.req.socket;
  if (socket) lingering(socket, response);
  return true;
}

function isLast({ req }) {
  const parser = req && req.socket && req.socket.parser;
  if (!parser) return true;
  const newest = parser.incoming;
  return (!newest || newest === req) && !nextHasBegun(req.socket);
}

/// Whether a part of the next request has arrived: a message has begun, and the newest request that is known is complete.
function nextHasBegun(socket) {
  const { parser, server } = socket;
  if (!parser || !server || (parser.incoming && !parser.incoming.complete)) return false;
  const connections = server[namedSymbol(server, 'http.server.connections')];
  return socket.bytesRead > 0 && Boolean(connections) && connections.active().includes(parser);
}

/// The app's own `Connection: keep-alive` (proxies copy it) would keep the client here.
function withClose(headers) {
  if (!headers || typeof headers !== 'object') return headers;
  if (!Array.isArray(headers)) {
    const key = Object.keys(headers).find((name) => name.toLowerCase() === 'connection');
    if (!key || !/keep-alive/i.test(String(headers[key]))) return headers;
    const stored = Object.getPrototypeOf(headers) === null && Array.isArray(headers[key]);
    if (stored) {
      headers[key] = ['Connection', 'close'];
      return headers;
    }
    return Object.assign({}, headers, { [key]: 'close' });
  }
  if (Array.isArray(headers[0])) {
    return headers.map((pair) => (isKeepAlive(pair[0], pair[1]) ? [pair[0], 'close'] : pair));
  }
  return headers.map((value, index) => (index % 2 === 1 && isKeepAlive(headers[index - 1], value) ? 'close' : value));
}

function isKeepAlive(name, value) {
  return String(name).toLowerCase() === 'connection' && /keep-alive/i.test(String(value));
}

/// Closing at once would reset the connection of a client that is still sending and has not read the answer. So only
/// the sending side is closed, and incoming bytes are thrown away.
function lingering(socket, response) {
  if (Object.prototype.hasOwnProperty.call(socket, 'destroySoon') || typeof socket.destroySoon !== 'function') return;
  const { destroySoon } = socket;
  Object.defineProperty(socket, 'destroySoon', {
    configurable: true,
    writable: true,
    value() {
      const { req } = response;
      if (!req || req.complete || socket.destroyed) return destroySoon.call(socket);
      socket.end();
      setTimeout(() => socket.destroy(), settings.idleWindow).unref();
      return undefined;
    },
  });
}

// ---------------------------------------------------------------------------------------------- HTTP/2

const GOAWAY_LATER = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
const leaving = new WeakSet();
const sessionOf = new WeakMap();

function rememberSession(session) {
  sessions.add(session);
  const stream = session[namedSymbol(session, 'socket')];
  if (stream) sessionOf.set(stream, session);
  session.once('close', () => sessions.delete(session));
  if (drain.running) leaveSession(session);
}

function streamsOf(session) {
  const state = session[namedSymbol(session, 'state')];
  return state && state.streams ? [...state.streams.values()] : [];
}

/// Lets open streams end. The client is told to open no more, and streams that cross that GOAWAY are served too: the
/// last stream is named only when the client has answered a ping. Node has no call for a GOAWAY that leaves later
/// streams open, and after any GOAWAY of its own nghttp2 ignores new streams. So this one is written beside Node's
/// output, where each write is made of whole frames. Below TLS that is not possible, since Node's TLS takes one write at a time:
/// a stream that crosses the GOAWAY is refused there, which tells the client that it was not begun and may be sent again.
function leaveSession(session) {
  if (session.closed || session.destroyed || leaving.has(session)) return;
  leaving.add(session);
  const stream = session[namedSymbol(session, 'socket')];
  if (!stream || stream.encrypted || typeof stream.write !== 'function') {
    session.close();
    return;
  }
  const close = () => { if (!session.closed && !session.destroyed) session.close(); };
  const announce = () => {
    if (session.closed || session.destroyed) return;
    stream.write(GOAWAY_LATER);
    if (!session.ping(close)) close();
  };
  setTimeout(close, settings.idleWindow).unref();
  // No frame may come before the first SETTINGS.
  if (session.pendingSettingsAck) session.once('localSettings', announce);
  else announce();
}

// ---------------------------------------------------------------------------------------------- UDP

let udpSockets = null;

/// A worker thread has to say that it serves; in the main thread it is enough to look when the signal comes.
function watchDatagrams() {
  if (inherited.size === 0) return;
  // Node keeps a channel that nobody refers to only as long as it likes.
  udpSockets = require('diagnostics_channel').channel('udp.socket');
  udpSockets.subscribe(({ socket }) => {
    socket.once('listening', () => { if (isHeldDatagram(socket)) joinDrain(); });
  });
}

function heldDatagrams() {
  if (inherited.size === 0) return [];
  const { Socket } = require('dgram');
  return process._getActiveHandles().filter((handle) => handle instanceof Socket && isHeldDatagram(handle));
}

function isHeldDatagram(socket) {
  const handle = datagramHandle(socket);
  return Boolean(handle) && typeof handle.fd === 'number' && inherited.has(socketOf(handle.fd));
}

function datagramHandle(socket) {
  for (const symbol of Object.getOwnPropertySymbols(socket)) {
    const state = socket[symbol];
    if (state && state.handle && typeof state.handle.recvStop === 'function') return state.handle;
  }
  return null;
}

/// Stops receiving datagrams. Answers to those already read are still sent.
function stopDatagrams() {
  const sockets = heldDatagrams();
  for (const socket of sockets) datagramHandle(socket).recvStop();
  return sockets.length > 0;
}

// ---------------------------------------------------------------------------------------------- the app's own cluster

let cluster = null;
// What a primary accepts on: the cluster module takes the handles out of their servers.
const primaryHandles = [];

/// The app forks workers with Node's own cluster module: they drain as well, so they get what the environment lost.
function becomeClusterPrimary() {
  if (cluster || role !== 'app') return;
  cluster = require('cluster');
  cleanEnvironment();
  ownSignal();
  const { prototype } = require('child_process').ChildProcess;
  const { spawn } = prototype;
  prototype.spawn = function (options, ...rest) {
    try {
      if (options.envPairs.some((pair) => pair.startsWith('NODE_UNIQUE_ID='))) {
        options.envPairs = forWorker(options.envPairs);
        this.on('internalMessage', (message) => { if (message && message.cmd === QUIET) quietWorkers.add(this); });
      }
    } catch {
      // Without the variables the worker dies of the signal, as it would without this file.
    }
    return spawn.call(this, options, ...rest);
  };
}

function forWorker(pairs) {
  const name = 'NODE_OPTIONS=';
  const given = pairs.find((pair) => pair.startsWith(name));
  const file = /[\s"\\]/.test(__filename) ? `"${__filename.replace(/["\\]/g, '\\$&')}"` : __filename;
  const options = `${name}--require ${file} ${given ? given.slice(name.length) : ''}`.trim();
  return [...pairs.filter((pair) => pair !== given), options, `${WORKER_MARKER}=1`, ...settings.passOn];
}

// Processes of workers that have nothing under way any more.
const quietWorkers = new WeakSet();

/// A worker drains on the same signal as its primary, whose handlers often end every worker at once.
function workersServe(primary) {
  return workersOf(primary).some((worker) => !worker.isDead() && !quietWorkers.has(worker.process));
}

function tellPrimary() {
  if (process.connected) process.send({ cmd: QUIET }, () => {});
}

// Ends of workers that the app has not been told of.
let untold = [];

/// An app that does not know yet that it is asked to stop would replace each worker that has drained: it is told of their
/// ends after it has had the signal.
function holdBackEnds(primary) {
  for (const emitter of [primary, ...workersOf(primary)]) {
    const { emit } = emitter;
    emitter.emit = function (event, ...rest) {
      if (drain.handedOn || drain.exits || (event !== 'exit' && event !== 'disconnect')) return emit.call(this, event, ...rest);
      untold.push(() => emit.call(this, event, ...rest));
      return true;
    };
  }
}

function tellOfEnds() {
  for (const tell of untold.splice(0)) tell();
}

/// Takes off the app's listeners for ends of workers: without this file the app would be gone by now and would replace
/// none. The workers drain on the same signal.
function leaveCluster(primary) {
  primary.removeAllListeners('exit');
  primary.removeAllListeners('disconnect');
  for (const worker of workersOf(primary)) {
    worker.removeAllListeners('exit');
    worker.removeAllListeners('disconnect');
  }
}

function workersOf(primary) {
  return Object.values(primary.workers || {}).filter(Boolean);
}

/// Tells the workers that no more connections come, once the primary has stopped accepting and handed over those that
/// it had. The message arrives behind the connections.
function releaseWorkers(primary) {
  if (drain.lasts() < settings.freshWindow && handsOver()) {
    setTimeout(releaseWorkers, SWEEP_MS, primary);
    return;
  }
  for (const worker of workersOf(primary)) {
    if (worker.isConnected()) worker.process.send({ cmd: RELEASE }, () => {});
    worker.process.kill(settings.signal);
  }
}

const released = { is: false, then: [] };

/// Calls back when the primary of this worker has no more connections for it, or is silent.
function whenReleased(then) {
  if (released.is) then();
  else released.then.push(then);
  setTimeout(then, settings.freshWindow).unref();
}

function listenToPrimary() {
  process.on('internalMessage', (message) => {
    if (!message || message.cmd !== RELEASE) return;
    released.is = true;
    for (const then of released.then.splice(0)) then();
  });
}

/// Connections that the primary has accepted and no worker has taken yet belong to no socket.
function handsOver() {
  return process._getActiveHandles().some((handle) => handle.constructor.name === 'TCP' && !primaryHandles.includes(handle));
}

function clusterBusy(primary) {
  return Object.values(primary.workers || {}).some((worker) => worker && !worker.isDead());
}

start();
