'use strict';
// A client of server-sent events.
const http = require('http');

/// `first`: the first event has come. `ended`: `whole` if the answer was complete and ended behind a whole event.
function listen(port, path) {
  let text = '';
  let begun;
  const first = new Promise((resolve) => { begun = resolve; });
  const ended = new Promise((resolve) => {
    const request = http.get({ port, path, host: '127.0.0.1' }, (response) => {
      response.setEncoding('utf8').on('data', (part) => {
        text += part;
        if (text.includes('\n\n')) begun();
      });
      response.on('error', (error) => resolve(error.code));
      response.on('end', () => resolve(text.endsWith('\n\n') ? 'whole' : `in the middle: ${text.slice(-20)}`));
    });
    request.on('error', (error) => resolve(error.code));
  });
  return { first, ended };
}

module.exports = { listen };
