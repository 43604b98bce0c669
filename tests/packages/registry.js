// A registry of npm for the packages of one folder, on loopback, until its standard input closes.
// usage: registry.js PORT FOLDER; prints its port when it serves, 0 asks for any free one.
'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');
const { execFileSync } = require('child_process');

const [port, folder] = process.argv.slice(2);
const found = new Map();
for (const name of fs.readdirSync(folder).filter((file) => file.endsWith('.tgz'))) {
  const text = execFileSync('tar', ['-xzOf', path.join(folder, name), 'package/package.json']);
  const manifest = JSON.parse(text);
  found.set(manifest.name, { name, manifest });
}

const server = http.createServer((request, response) => {
  const asked = decodeURIComponent(request.url.slice(1));
  if (asked.endsWith('.tgz')) return fs.createReadStream(path.join(folder, path.basename(asked))).pipe(response);
  const entry = found.get(asked);
  if (!entry) {
    response.writeHead(404);
    return response.end('{}');
  }
  const { manifest, name } = entry;
  const dist = { tarball: `http://127.0.0.1:${server.address().port}/${name}` };
  response.setHeader('content-type', 'application/json');
  return response.end(JSON.stringify({
    name: manifest.name,
    'dist-tags': { latest: manifest.version },
    versions: { [manifest.version]: { ...manifest, dist } },
  }));
});
server.listen(Number(port), '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit()).resume();
