// A line with a round-trip time and a bandwidth: TCP proxies whose connections share it, so that both drives meet the same
// "internet". Runs as a child process (`fork`): its work must not delay the clock that measures.
// Data pays half the round trip each way, a new connection a whole one (the handshake). Both directions have the bandwidth.
import { once } from 'node:events';
import { fork } from 'node:child_process';
import net from 'node:net';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
if (process.argv[1] === self && process.send !== undefined) serve();

/** The parent's end. `open` answers the port that leads to `targetPort` through the line. */
export async function startLine(stops) {
  const child = fork(self, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  await once(child, 'spawn');
  stops.add('the shaped line', async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.disconnect();
    await exited;
  });
  const ask = async (request) => {
    child.send(request);
    const [answer] = await once(child, 'message');
    return answer;
  };
  let last = Promise.resolve();
  const inTurn = (request) => (last = last.then(() => ask(request)));
  return {
    open: async (targetPort) => (await inTurn({ kind: 'open', targetPort })).port,
    /** Zero means no delay, or no limit. */
    shape: ({ rttMs = 0, mbit = 0 }) => inTurn({ kind: 'shape', rttMs, mbit }),
    /** Payload bytes towards the client and connections made since the last call. */
    take: () => inTurn({ kind: 'take' }),
  };
}

function serve() {
  const line = { rttMs: 0, bytesPerMs: 0, freeAt: { up: 0, down: 0 }, bytes: { up: 0, down: 0 }, connections: 0 };
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole group; the parent still unmounts through this line and ends it afterwards.
  process.on('SIGINT', () => undefined);
  process.on('message', async (request) => {
    if (request.kind === 'open') {
      process.send({ port: await listen(line, request.targetPort) });
    } else if (request.kind === 'shape') {
      line.rttMs = request.rttMs;
      line.bytesPerMs = (request.mbit * 1e6) / 8 / 1000;
      process.send({});
    } else {
      process.send({ bytesUp: line.bytes.up, bytesDown: line.bytes.down, connections: line.connections });
      line.bytes = { up: 0, down: 0 };
      line.connections = 0;
    }
  });
}

async function listen(line, targetPort) {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    line.connections++;
    client.pause();
    client.on('error', () => client.destroy());
    const connect = () => {
      if (client.destroyed) return;
      const upstream = net.connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      carry(line, client, upstream, 'up');
      carry(line, upstream, client, 'down');
      client.resume();
    };
    if (line.rttMs > 0) setTimeout(connect, line.rttMs);
    else connect();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** Moves one direction of one connection. What waits here is bounded by two bandwidth-delay products. */
function carry(line, from, to, direction) {
  const queue = []; // {due, chunk}, first in first out; chunk null ends the stream
  let queuedBytes = 0;
  let timer;
  const limitBytes = () => Math.max(256 * 1024, 2 * line.bytesPerMs * line.rttMs);
  const flush = () => {
    timer = undefined;
    const now = performance.now();
    while (queue.length > 0 && queue[0].due <= now) {
      const { chunk } = queue.shift();
      queuedBytes -= chunk?.length ?? 0;
      if (to.destroyed) continue;
      if (chunk === null) to.end();
      else to.write(chunk);
    }
    if (from.isPaused() && queuedBytes + to.writableLength < limitBytes() / 2) from.resume();
    if (queue.length > 0) wake(queue[0].due);
    else if (from.isPaused()) wake(now + 2);
  };
  const wake = (due) => {
    timer ??= setTimeout(flush, Math.max(1, due - performance.now()));
  };
  const put = (chunk) => {
    const now = performance.now();
    const lengthBytes = chunk?.length ?? 0;
    const carried = line.bytesPerMs > 0 ? lengthBytes / line.bytesPerMs : 0;
    line.freeAt[direction] = Math.max(line.freeAt[direction], now) + carried;
    const due = line.freeAt[direction] + line.rttMs / 2;
    queue.push({ due, chunk });
    queuedBytes += lengthBytes;
    line.bytes[direction] += lengthBytes;
    if (due <= now) flush();
    else wake(due);
  };
  from.on('data', (chunk) => {
    put(chunk);
    if (queuedBytes + to.writableLength > limitBytes()) {
      from.pause();
      wake(performance.now() + 1);
    }
  });
  from.on('end', () => put(null));
  from.on('error', () => to.destroy());
  from.on('close', () => {
    if (!from.readableEnded) to.destroy();
  });
}
