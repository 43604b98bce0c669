'use strict';
// An open-loop load client: requests go out at their rate whatever becomes of earlier ones, on new connections and
// through a keep-alive agent at once. A reset, a refused connection, a wrong answer and no answer all count as failed.
const http = require('http');

const HANG_MS = 15000;

/// `rate`: requests per second of each kind. `stop()` ends sending and resolves to the counts when all is answered.
function startLoad({ rate = 100, library = http, options, check = (body) => /^hello/.test(body) }) {
  const counts = { sent: 0, ok: 0, failed: {}, reused: 0, slowest: 0, pids: new Set() };
  const keepAlive = new library.Agent({ keepAlive: true, rejectUnauthorized: false });
  const kinds = [['new', false], ['keep-alive', keepAlive]];
  const pending = new Set();
  const begun = Date.now();
  let ticks = 0;
  const timer = setInterval(() => {
    for (; ticks < ((Date.now() - begun) * rate) / 1000; ticks++) {
      for (const [kind, agent] of kinds) pending.add(send(kind, agent));
    }
  }, 5);

  function send(kind, agent) {
    counts.sent += 1;
    const from = Date.now();
    const done = one(library, { ...options, agent, rejectUnauthorized: false }, check).then(({ reused, body }) => {
      counts.ok += 1;
      if (reused) counts.reused += 1;
      counts.slowest = Math.max(counts.slowest, Date.now() - from);
      counts.pids.add(body.trim());
    }, (error) => {
      const name = `${kind} ${error.reused ? 'reused ' : ''}${error.code || error.message}`;
      counts.failed[name] = (counts.failed[name] || 0) + 1;
    }).then(() => pending.delete(done));
    return done;
  }

  return {
    counts,
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
      keepAlive.destroy();
      return { ...counts, pids: counts.pids.size };
    },
  };
}

function one(library, options, check) {
  return new Promise((resolve, reject) => {
    const request = library.request({ host: '127.0.0.1', ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text) => { body += text; });
      response.on('error', fail);
      response.on('end', () => {
        clearTimeout(timer);
        if (response.statusCode !== 200 || !check(body)) fail(new Error(`wrong answer ${response.statusCode}`));
        else resolve({ body, reused: request.reusedSocket });
      });
    });
    const timer = setTimeout(() => { fail(new Error('hang')); request.destroy(); }, HANG_MS);
    function fail(error) {
      clearTimeout(timer);
      reject(Object.assign(error, { reused: request.reusedSocket }));
    }
    request.on('error', fail);
    request.end();
  });
}

module.exports = { startLoad };
