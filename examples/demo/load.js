// The client behind examples/demo.sh: 100 requests a second while a command runs, half of them on new connections
// and half on kept ones, and what became of each.
//
//   load.js free [PORT]                  prints PORT if nobody listens there, else another port
//   load.js ask PORT COUNT               asks so often at once, and prints who answered how often
//   load.js watch PORT NOTE COMMAND...   runs COMMAND under load, shows the count while it goes, and writes
//                                        "ANSWERED LOST" into the file NOTE; its exit code is the command's
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');
const { spawn } = require('child_process');

const EVERY = 10; // milliseconds between two requests
const AROUND = 500; // milliseconds of load before and after the command
const PATIENCE = 3000; // milliseconds until an unanswered request is lost: six times what the app takes
const kept = new http.Agent({ keepAlive: true });

/** Sends one request; `done(error, text)` is called once. */
function ask(port, agent, done) {
  let over = false;
  const once = (error, text) => {
    if (over) return;
    over = true;
    done(error, text);
  };
  const request = http.get({ host: '127.0.0.1', port, agent, timeout: PATIENCE }, (response) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (part) => { text += part; });
    response.on('end', () => {
      const whole = response.complete && response.statusCode === 200;
      once(whole ? null : `HTTP ${response.statusCode}`, text.trim());
    });
    response.on('error', (error) => once(error.code || error.message));
    response.on('aborted', () => once('ECONNRESET'));
  });
  request.on('timeout', () => request.destroy(new Error('no answer')));
  request.on('error', (error) => once(error.code || error.message));
}

/** What was counted: answers by version of the app, and losses by their reason. */
class Count {
  constructor() {
    this.sent = 0;
    this.answered = 0;
    this.lost = 0;
    this.versions = new Map();
    this.reasons = new Map();
  }

  under() {
    return this.sent - this.answered - this.lost;
  }

  add(error, text) {
    const [table, key] = error ? [this.reasons, words(error)] : [this.versions, version(text)];
    table.set(key, (table.get(key) || 0) + 1);
    if (error) this.lost += 1;
    else this.answered += 1;
  }

  line() {
    const versions = [...this.versions].map(([name, count]) => `${name}: ${count}`).join('  ');
    return `${versions}   under way: ${this.under()}   ${lost(this)}`;
  }
}

function words(error) {
  return { ECONNREFUSED: 'refused', ECONNRESET: 'broken off' }[error] || error;
}

/** "hello from instance 2" is the version "hello". */
function version(text) {
  return `"${text.replace(/ from instance.*/, '')}"`;
}

function lost(count) {
  const reasons = [...count.reasons].map(([name, number]) => `${number} ${name}`).join(', ');
  const text = `lost: ${count.lost}${reasons && ` (${reasons})`}`;
  if (!process.stdout.isTTY || process.env.NO_COLOR) return text;
  return `\x1b[${count.lost ? 31 : 32}m${text}\x1b[0m`;
}

/** The line at the bottom of a terminal, which goes on while others are printed above it. */
class Screen {
  constructor() {
    this.live = process.stdout.isTTY;
    this.shown = '';
  }

  show(line) {
    this.shown = line;
    if (this.live) process.stdout.write(`\r\x1b[K\x1b[?7l  ${line}\x1b[?7h`);
  }

  print(line) {
    process.stdout.write(`${this.live ? '\r\x1b[K' : ''}    ${line}\n`);
    this.show(this.shown);
  }

  end(line) {
    process.stdout.write(`${this.live ? '\r\x1b[K' : ''}  ${line}\n`);
  }
}

function pipe(stream, print) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (part) => {
    const lines = (rest + part).split('\n');
    rest = lines.pop();
    lines.forEach(print);
  });
  stream.on('end', () => { if (rest) print(rest); });
}

function watch(port, note, command) {
  const count = new Count();
  const screen = new Screen();
  let code = null;
  let sending = true;
  const send = () => {
    count.sent += 1;
    ask(port, count.sent % 2 ? kept : false, (error, text) => {
      count.add(error, text);
      if (count.answered === 1 && !error) setTimeout(run, AROUND);
    });
  };
  const run = () => {
    const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) pipe(stream, (line) => screen.print(line));
    child.on('error', (error) => screen.print(error.message));
    child.on('close', (status) => {
      code = status === null ? 1 : status;
      setTimeout(() => { sending = false; }, AROUND);
    });
  };
  const sender = setInterval(() => (sending ? send() : clearInterval(sender)), EVERY);
  const painter = setInterval(() => {
    if (sending || count.under() > 0) return screen.show(count.line());
    clearInterval(painter);
    screen.end(`${code === 0 ? '' : `exit code ${code}   `}${count.line()}`);
    fs.writeFileSync(note, `${count.answered} ${count.lost}\n`);
    kept.destroy();
    process.exitCode = code;
  }, 50);
}

function askTogether(port, number) {
  const answers = new Map();
  let left = number;
  for (let i = 0; i < number; i += 1) {
    ask(port, false, (error, text) => {
      const answer = error ? words(error) : text;
      answers.set(answer, (answers.get(answer) || 0) + 1);
      left -= 1;
      if (left > 0) return;
      for (const [key, count] of [...answers].sort()) console.log(`  ${count} × ${key}`);
    });
  }
}

function free(wanted) {
  const server = net.createServer();
  server.on('error', () => free(0));
  server.listen(wanted, () => {
    console.log(server.address().port);
    server.close();
  });
}

const [verb, port, ...rest] = process.argv.slice(2);
if (verb === 'free') free(Number(port || 0));
else if (verb === 'ask') askTogether(Number(port), Number(rest[0]));
else if (verb === 'watch' && rest.length > 1) watch(Number(port), rest[0], rest.slice(1));
else {
  console.error('usage: load.js free [PORT] | ask PORT COUNT | watch PORT NOTE COMMAND...');
  process.exitCode = 2;
}
