// The app of every PM2 tutorial, unchanged: it knows nothing of clusterctl.
const http = require('http');

http.createServer((req, res) => {
  setTimeout(() => {
    res.writeHead(200);
    res.end(`hello from instance ${process.env.NODE_APP_INSTANCE}\n`);
  }, 500);
}).listen(process.env.PORT || 3000);
