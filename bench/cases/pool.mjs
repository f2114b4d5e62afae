// find over cold folders of a service that throttles, through one connection and through a pool of three of the same account.
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isMounted, run as runProgram, startProgram, timeShell } from '../programs.mjs';

export const name = 'pool';

const MEMBERS = 3;
const FOLDERS = 300;
/** Three budgets are three times as much; a tenth is left to the walk itself. */
const TIMES_FASTER = 2.7;

export async function run({ stops, programFile, workDirectory, signal }) {
  const node = process.execPath;
  const home = join(workDirectory, 'pool-home');
  const mountpoint = join(workDirectory, 'pool');
  for (const path of [home, mountpoint]) mkdirSync(path, { recursive: true });
  /** Each source is seen for the first time, by app keys whose pace is not known yet. */
  const environment = (source) => ({
    PATH: process.env['PATH'],
    LANG: 'C.UTF-8',
    HOME: home,
    XDG_STATE_HOME: join(home, `state-of-${source}`),
    XDG_CACHE_HOME: join(home, `cache-of-${source}`),
    XDG_RUNTIME_DIR: home,
  });
  const ours = (source, args, input) =>
    runProgram(node, [programFile, ...args], { env: environment(source), signal, input });
  const what = ['--synthetic', `${FOLDERS}x3x100`, '--state', join(home, 'emulator')];
  const emulator = await startProgram(
    stops,
    node,
    [
      ...[programFile, 'emulator', ...what, '--latency', '30', '--throttle', '--apps', String(MEMBERS)],
      ...['--json', '--exit-with-stdin'],
    ],
    { env: environment('emulator'), stdin: 'pipe' },
  );
  const [text] = await Promise.race([
    once(createInterface({ input: emulator.child.stdout }), 'line'),
    emulator.failure,
  ]);
  const { gatewayUrl, credentials, apps } = JSON.parse(text);
  for (const [index, { appKey, appSecret }] of apps.entries()) {
    const auth = {
      client_id: appKey,
      client_secret: appSecret,
      app_token: credentials.appToken,
      api_url: gatewayUrl,
    };
    const named = ['-p', 'syncplicity', '--name', `one${index}`, '--no-verify', '--auth-input'];
    await ours('setup', ['connections', 'add', ...named], JSON.stringify(auth));
    await ours('setup', ['connections', 'pool', 'assign', `one${index}`, '--name', 'all']);
  }
  const walk = async (source) => {
    await ours(source, ['mount', source, mountpoint, '--read-only']);
    const stop = stops.add(`the mount of ${source}`, async () => {
      if (isMounted(mountpoint))
        await runProgram(node, [programFile, 'unmount', mountpoint], { env: environment(source) });
    });
    const ms = await timeShell(`find '${mountpoint}'`, signal);
    const [{ calls }] = JSON.parse(await ours(source, ['status', mountpoint, '--json']));
    await stop();
    return { ms, calls: calls.total - calls.throttled };
  };
  const alone = await walk('one0');
  const together = await walk('all');
  await emulator.stop();
  const faster = alone.ms / together.ms;
  return [
    { what: `find, ${FOLDERS} folders, cold, throttled, one app key`, ours: alone.ms, unit: 'ms', calls: alone.calls },
    {
      what: `... through a pool of ${MEMBERS}`,
      ours: together.ms,
      unit: 'ms',
      calls: together.calls,
      bar: `${TIMES_FASTER} times faster: ${faster.toFixed(2)}`,
      pass: faster >= TIMES_FASTER,
    },
  ];
}
