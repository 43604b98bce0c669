'use strict';
const assert = require('assert');
const test = require('node:test');
const { hold, instance, replaceAll } = require('./rolling.cjs');
const { startLoad } = require('./load.cjs');

const INSTANCES = 2;
const ROUNDS = Number(process.env.ROUNDS || 1);

for (const [name, file, env, passes] of [
  ['slow app', 'classic.js', { DELAY: '500' }, 1],
  ['fast app', 'classic.js', { DELAY: '0' }, 5],
  ['app that exits in its handler', 'handlers.js', { KIND: 'exit', DELAY: '500' }, 1],
  ['app that cuts its connections in its handler', 'handlers.js', { KIND: 'destroy', DELAY: '0' }, 2],
  ['slow app with workers of its own', 'own-cluster.js', { DELAY: '300' }, 2],
  ['fast app with workers of its own', 'own-cluster.js', { DELAY: '0' }, 2],
  ['app whose primary exits in its handler', 'own-cluster.js', { DELAY: '500', PRIMARY: 'exit' }, 2],
  ['app whose primary signals its workers', 'own-cluster.js', { DELAY: '500', PRIMARY: 'kill' }, 1],
  ['app whose primary disconnects its workers', 'own-cluster.js', { DELAY: '500', PRIMARY: 'disconnect' }, 1],
  ['app whose workers leave the signal to the primary', 'own-cluster.js',
    { DELAY: '500', PRIMARY: 'disconnect', WORKER: 'ignores' }, 2],
]) {
  test(`replacing every instance of the ${name} under load loses nothing`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const result = await rollUnderLoad(file, env, passes);
      if (ROUNDS > 1) console.log(name, round, JSON.stringify(result));
      assert.deepStrictEqual(result.failed, {});
      assert.strictEqual(result.ok, result.sent);
      assert.ok(result.reused > 0, 'no connection was used twice');
      assert.ok(result.pids > INSTANCES, 'the load saw no replacement');
    }
  });
}

async function rollUnderLoad(file, env, passes) {
  const held = hold();
  const again = () => instance(held, file, { env });
  let apps = [];
  for (let i = 0; i < INSTANCES; i++) apps.push(await again());
  const load = startLoad({ rate: 100, options: { port: held.port } });
  await answered(load, 40);
  const ends = [];
  for (let pass = 0; pass < passes; pass++) {
    const replaced = await replaceAll(apps, again, pass % 2 === 1);
    apps = replaced.apps;
    ends.push(...replaced.ends);
    await answered(load, load.counts.sent + 40);
  }
  const result = await load.stop();
  held.close();
  for (const app of apps) app.signal();
  for (const end of ends) assert.deepStrictEqual(end, { code: 0, signal: null });
  await Promise.all(apps.map((app) => app.ended));
  return result;
}

async function answered(load, count) {
  while (load.counts.ok + Object.keys(load.counts.failed).length < count) {
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}
