'use strict';
// A client of server-sent events.
const http = require('http');

/// `first`: the first event has come. `ended`: `whole` if the answer was complete and ended behind a whole event.
function listen(port, path, method = 'GET') {
  let text = '';
  let begun;
  const first = new Promise((resolve) => { begun = resolve; });
  const ended = new Promise((resolve) => {
    const request = http.request({ port, path, method, host: '127.0.0.1' }, (response) => {
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
        if (text.includes('\n\n')) begun();
      });
      response.on('error', (error) => resolve(error.code));
      response.on('end', () => resolve(text.endsWith('\n\n') ? 'whole' : `in the middle: ${text.slice(-20)}`));
    });
    request.on('error', (error) => resolve(error.code)).end();
  });
  return { first, ended, text: () => text };
}

module.exports = { listen };
