const http = require('http');

const answer = (req, res) => res.end(`${process.env.GREETING}, instance ${process.env.NODE_APP_INSTANCE}\n`);
http.createServer(answer).listen(3001);
http.createServer((req, res) => res.end(JSON.stringify(process.memoryUsage()) + '\n'))
  .listen('/tmp/clusterctl-example-admin.sock');
