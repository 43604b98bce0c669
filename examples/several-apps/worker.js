// A queue worker: it listens to nothing, and says itself when it is ready.
setTimeout(() => process.send('ready'), 200);
setInterval(() => console.log('worked off one job'), 2000);
process.on('SIGINT', () => {
  console.log('finishing the last job');
  process.exit(0);
});
