/* eslint no-restricted-syntax: off -- a program of its own, which ends as it likes */
// Stands in for the daemon: does what the name of its device says. Writes what it was given to STATE/seen.json.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

process.once('message', ({ config }) => {
  const stay = setInterval(() => undefined, 1_000);
  writeFileSync(
    join(config.stateDirectory, 'seen.json'),
    JSON.stringify({
      pid: process.pid,
      argv: process.argv.slice(2),
      cwd: process.cwd(),
      threads: process.env.UV_THREADPOOL_SIZE,
      config,
    }),
  );
  process.on('SIGTERM', () => {
    console.error('told to stop');
    clearInterval(stay);
    process.exit(0);
  });
  switch (config.deviceName) {
    case 'ready':
      console.log('serving');
      process.send({ type: 'ready' });
      break;
    case 'fails':
      process.send({ type: 'failed', message: 'no such luck\ntry again' });
      break;
    case 'dies':
      console.error('the disk is full\n    at somewhere (file.js:1:1)\n\nNode.js v20.0.0');
      process.exit(3);
      break;
    case 'broken':
      process.kill(process.pid, 'SIGBUS');
      break;
    case 'killed':
      process.kill(process.pid, 'SIGKILL');
      break;
    case 'ends':
      process.send({ type: 'ready' });
      process.on('message', () => undefined);
      setTimeout(() => process.exit(7), 10);
      break;
    case 'hangs':
      console.error('still thinking');
      break;
  }
});
