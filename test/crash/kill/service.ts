// The service that a load runs against: in this process, or in one of its own that can be killed and comes back as it was.
// Promises: what it holds is read from its store, not as a client is told it.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from '../../../src/emulator/faults.ts';
import { startEmulator } from '../../../src/emulator/emulator.ts';
import { MemoryStore } from '../../../src/emulator/memory-store.ts';
import type { StoreSnapshot } from '../../../src/emulator/store-snapshot.ts';
import type { Credentials } from '../../../src/emulator/identity.ts';
import { programFile, type User } from '../../cli/program.ts';

/** A line on which a large file takes a second, so that a kill meets it half sent. */
const BANDWIDTH_MBIT = 200;
const LATENCY_MS = 5;

/** The syncpoint, and the folders below it that are there from the start. */
export const SHARED_FOLDERS = ['Work/pool0', 'Work/pool1'] as const;

export interface Service {
  readonly credentials: Credentials;
  readonly gatewayUrl: string;
  setFaults(faults: readonly Fault[]): void;
  snapshot(): Promise<StoreSnapshot>;
  /** Ends it as a power cut would; `restart` brings it back on the same ports. Only of a service that has a process. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** In this process, everything in memory. */
export async function memoryService(): Promise<Service> {
  const store = new MemoryStore();
  const { id, rootFolderId } = store.addSyncpoint('Work');
  for (const path of SHARED_FOLDERS) store.addFolder(id, rootFolderId, path.slice('Work/'.length));
  const emulator = await startEmulator({ store, latencyMs: LATENCY_MS, bandwidthMbit: BANDWIDTH_MBIT });
  return {
    credentials: emulator.credentials,
    gatewayUrl: emulator.gatewayUrl,
    setFaults: (faults) => emulator.setFaults(faults),
    snapshot: () => emulator.snapshot(),
    kill: () => Promise.reject(new Error('this service has no process')),
    restart: () => Promise.reject(new Error('this service has no process')),
    stop: () => emulator.stop(),
  };
}

/** A process of the program's own emulator over a directory of the user. */
export async function processService(user: User): Promise<Service> {
  const data = user.directory('data');
  const state = user.directory('emulator');
  for (const path of SHARED_FOLDERS) mkdirSync(join(data, path), { recursive: true });
  let running = await start(user, data, state, []);
  const { gatewayUrl, vaultUrl, credentials } = running.said;
  return {
    credentials,
    gatewayUrl,
    setFaults: () => {
      throw new Error('faults are for the service in this process');
    },
    snapshot: async () => {
      const headers = { 'x-emulator-key': running.said.adminKey };
      const reply = await fetch(`${gatewayUrl}/_emulator/snapshot`, { headers });
      if (!reply.ok) throw new Error(`snapshot: ${reply.status}`);
      return (await reply.json()) as StoreSnapshot;
    },
    kill: () => end(running.child, 'SIGKILL'),
    restart: async () => {
      const ports = ['--port', new URL(gatewayUrl).port, '--vault-port', new URL(vaultUrl).port];
      running = await start(user, data, state, ports);
    },
    stop: () => end(running.child, 'SIGTERM'),
  };
}

interface Said {
  readonly gatewayUrl: string;
  readonly vaultUrl: string;
  readonly adminKey: string;
  readonly credentials: Credentials;
}

async function start(
  user: User,
  data: string,
  state: string,
  ports: readonly string[],
): Promise<{ child: ChildProcess; said: Said }> {
  const options = ['--layout', 'children', '--exclusive', '--json', '--exit-with-stdin'];
  const line = ['--latency', String(LATENCY_MS), '--bandwidth', String(BANDWIDTH_MBIT)];
  const args = [programFile, 'emulator', '--data', data, '--state', state, ...options, ...line, ...ports];
  const child = spawn(process.execPath, args, { env: user.environment, stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const said = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', resolve);
    child.once('close', () => reject(new Error(`the service does not start: ${errors}`)));
  });
  return { child, said: JSON.parse(said) as Said };
}

function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    child.kill(signal);
  });
}
