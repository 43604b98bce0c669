// A server that says which machine answered, and a health endpoint that fails while the machine is being drained: while
// the file /run/clusterctl/drain/api is there.
const fs = require('fs');
const http = require('http');
const os = require('os');

const drained = () => fs.existsSync('/run/clusterctl/drain/api');

http
  .createServer((request, response) => {
    if (request.url === '/health') {
      response.statusCode = drained() ? 503 : 200;
      return response.end(drained() ? 'drained\n' : 'well\n');
    }
    response.end(`instance ${process.env.NODE_APP_INSTANCE} on ${os.hostname()}, ${process.env.RELEASE}\n`);
  })
  .listen(3000);
