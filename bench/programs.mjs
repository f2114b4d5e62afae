// Programs run to their end or until stopped, and what the kernel tells of them and of mounts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Runs a program; rejects with the end of its stderr unless it exits with 0. Aborting kills it. */
export async function run(program, args, { env, input, signal, okCodes = [0] } = {}) {
  const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  const abort = () => child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr = (stderr + text).slice(-2000)));
  child.stdin.on('error', () => undefined).end(input ?? '');
  try {
    const [code] = await once(child, 'close');
    signal?.throwIfAborted();
    if (!okCodes.includes(code))
      throw new Error(`${program} ${args.join(' ')}: ${stderr.trim() || `exit code ${code}`}`);
    return stdout;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Milliseconds a shell command takes; its output is thrown away. */
export async function timeShell(command, signal) {
  const start = performance.now();
  await run('sh', ['-c', `{ ${command}; } > /dev/null`], { env: { ...process.env, LC_ALL: 'C' }, signal });
  return performance.now() - start;
}

/** A child that runs until it is stopped with SIGTERM, or SIGKILL when that does not help within `limitMs`. */
export async function startProgram(stops, program, args, { env, stdin = 'ignore', limitMs = 20_000 } = {}) {
  const child = spawn(program, args, { env, stdio: [stdin, 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (errors = (errors + text).slice(-2000)));
  const exited = once(child, 'exit');
  exited.catch(() => undefined);
  await once(child, 'spawn');
  const stop = stops.add(program, async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.kill('SIGTERM');
    await exited;
    clearTimeout(timer);
  });
  const failure = exited.then(() => {
    throw new Error(`${program} ended: ${errors.trim()}`);
  });
  failure.catch(() => undefined);
  return { child, stop, failure };
}

/** A port nobody listens on now. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits for a condition that nothing announces; rejects after 30 s. */
export async function until(condition, what, signal) {
  const deadline = performance.now() + 30_000;
  while (!(await condition())) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) throw new Error(`${what} does not come`);
    await sleep(20);
  }
}

export function isMounted(path) {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === path);
}

/** Bytes of a process's own memory (RssAnon) and milliseconds of processor time it has used; undefined once it is gone. */
export function resources(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ownBytes = Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
    return { ownBytes, cpuMs: (Number(fields[11]) + Number(fields[12])) * 10 };
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
}

/** Watches a process's memory; `stop` answers the most it held, in bytes. */
export function watchMemory(pid) {
  let peakBytes = 0;
  const look = () => {
    peakBytes = Math.max(peakBytes, resources(pid)?.ownBytes ?? 0);
  };
  const timer = setInterval(look, 50);
  look();
  return {
    stop() {
      clearInterval(timer);
      look();
      return peakBytes;
    },
  };
}

/** Makes the kernel forget names and attributes (not file content). False where only root may. */
export async function dropNames() {
  if (process.getuid?.() !== 0) return false;
  await run('sh', ['-c', 'sync; echo 2 > /proc/sys/vm/drop_caches']);
  return true;
}
