// Our side of the comparison: the emulator over the data, its gateway and vault behind the line, and mounts of it by the built
// program, each with a home of its own. Knows the program by its command line only.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort, isMounted, resources, run, startProgram, until } from './programs.mjs';

const CONNECTION = 'bench';

export async function startOurDrive({ stops, line, programFile, dataDirectory, workDirectory, signal }) {
  const node = process.execPath;
  const home = join(workDirectory, 'home');
  const mountpoint = join(workDirectory, 'ours');
  for (const path of [home, mountpoint]) mkdirSync(path, { recursive: true });
  let generation = 0;
  /** Configuration stays; a new generation has seen nothing yet. */
  const environment = () => ({
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    HOME: home,
    XDG_STATE_HOME: join(home, `state-${generation}`),
    XDG_CACHE_HOME: join(home, `cache-${generation}`),
    XDG_RUNTIME_DIR: home,
    ...(process.env['BENCH_NODE_OPTIONS'] && { NODE_OPTIONS: process.env['BENCH_NODE_OPTIONS'] }),
  });
  const ours = (args, options = {}) => run(node, [programFile, ...args], { env: environment(), signal, ...options });

  const vaultPort = await freePort();
  const announced = `http://127.0.0.1:${await line.open(vaultPort)}`;
  const emulator = await startProgram(
    stops,
    node,
    [
      ...[programFile, 'emulator', '--data', dataDirectory, '--state', join(workDirectory, 'emulator')],
      ...['--vault-port', String(vaultPort), '--announce-vault-url', announced, '--json', '--exit-with-stdin'],
    ],
    { env: { PATH: process.env['PATH'], HOME: home }, stdin: 'pipe' },
  );
  const [text] = await Promise.race([
    once(createInterface({ input: emulator.child.stdout }), 'line'),
    emulator.failure,
  ]);
  const { gatewayUrl, credentials, adminKey } = JSON.parse(text);
  const gatewayPort = await line.open(Number(new URL(gatewayUrl).port));
  const auth = {
    client_id: credentials.appKey,
    client_secret: credentials.appSecret,
    app_token: credentials.appToken,
    api_url: `http://127.0.0.1:${gatewayPort}`,
  };
  const named = ['-p', 'syncplicity', '--name', CONNECTION];
  await ours(['connections', 'add', ...named, '--auth-input', '--json'], { input: JSON.stringify(auth) });
  const help = await ours(['mount', '--help']);
  const unpaced = help.includes('--calls-per-second')
    ? ['--calls-per-second', '0', '--calls-per-hour', '0']
    : undefined;

  let stopMount;
  let pid;
  const admin = async (method) => {
    const headers = { 'X-Emulator-Key': adminKey };
    const reply = await fetch(new URL('/_emulator/calls', gatewayUrl), { method, headers });
    if (!reply.ok) throw new Error(`the emulator does not tell its calls: ${reply.status}`);
    return reply.json();
  };
  return {
    name: 'syncplicityfs',
    mountpoint,
    /** The directory that shows the data. */
    root: join(mountpoint, 'data'),
    /** Whether the program can be told that the server has no call limits. */
    canBeUnpaced: unpaced !== undefined,
    async mount({ cold = false, paced = false, writable = false } = {}) {
      if (cold) generation++;
      const options = paced ? [] : (unpaced ?? []);
      stopMount = stops.add('our mount', async () => {
        if (!isMounted(mountpoint)) return;
        try {
          await run(node, [programFile, 'unmount', mountpoint], { env: environment() });
        } catch (error) {
          // The command failed: a bug to be seen, not a reason to leave a mount behind. SIGTERM makes the daemon unmount.
          if (pid !== undefined) process.kill(pid, 'SIGTERM');
          await until(() => !isMounted(mountpoint), 'the end of our mount');
          throw error;
        }
      });
      const access = writable ? [] : ['--read-only'];
      await ours(['mount', CONNECTION, mountpoint, ...access, '--listing-lifetime', '1h', ...options]);
      pid = JSON.parse(await ours(['status', mountpoint, '--json']))[0].pid;
    },
    unmount: () => stopMount(),
    /** Waits until all that was written is at the service. */
    flush: () => ours(['flush', mountpoint, '--timeout', '10m']),
    pid: () => pid,
    resources: () => resources(pid),
    emulatorPid: emulator.child.pid,
    /** Calls that arrived since the last reset: `gateway` counts all but the vault's. */
    async calls() {
      const { byEndpoint, vaultBytes } = await admin('GET');
      const vault = ['retrieveFile', 'v2files', 'saveFile', 'v2mime'].reduce(
        (sum, name) => sum + (byEndpoint[name] ?? 0),
        0,
      );
      const total = Object.values(byEndpoint).reduce((sum, count) => sum + count, 0);
      return { gateway: total - vault, vault, vaultBytes, byEndpoint };
    },
    resetCalls: () => admin('DELETE'),
  };
}
