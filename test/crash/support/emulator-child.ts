// The emulator in a process of its own over a directory, that can be killed and started again as the same service.
import { once } from 'node:events';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Fault } from '../../../src/emulator/faults.ts';
import type { StoreSnapshot } from '../../../src/emulator/store-snapshot.ts';
import type { User } from '../../cli/program.ts';

interface Announcement {
  readonly gatewayUrl: string;
  readonly vaultUrl: string;
  readonly adminKey: string;
  readonly credentials: { readonly appKey: string; readonly appSecret: string; readonly appToken: string };
}

export interface EmulatorChildOptions {
  /** The directory that is served, one syncpoint for each directory in it. */
  readonly data: string;
  readonly bandwidthMbit: number;
  readonly faults: readonly Fault[];
}

export class EmulatorChild {
  readonly #user: User;
  readonly #options: EmulatorChildOptions;
  #child: ChildProcess | undefined;
  #announced: Announcement | undefined;

  constructor(user: User, options: EmulatorChildOptions) {
    this.#user = user;
    this.#options = options;
  }

  get announced(): Announcement {
    if (this.#announced === undefined) throw new Error('the emulator was never started');
    return this.#announced;
  }

  /** Starts it; a second time on the ports it had. */
  async start(): Promise<void> {
    const { data, bandwidthMbit, faults } = this.#options;
    const before = this.#announced;
    const ports =
      before === undefined ? [] : ['--port', portOf(before.gatewayUrl), '--vault-port', portOf(before.vaultUrl)];
    const child = this.#user.start([
      ...['emulator', '--data', data, '--layout', 'children', '--exclusive', '--json', '--exit-with-stdin'],
      ...['--bandwidth', String(bandwidthMbit), ...ports],
    ]);
    this.#child = child;
    if (child.stdout === null) throw new Error('the emulator has no output');
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    const line = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line').then(([first]) => String(first)),
      once(child, 'close').then(() => Promise.reject(new Error(`the emulator did not start: ${said}`))),
    ]);
    this.#announced = JSON.parse(line) as Announcement;
    if (faults.length > 0) await this.#admin('faults', { method: 'POST', body: JSON.stringify(faults) });
  }

  /** Kills it in whatever it is about. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  async clearFaults(): Promise<void> {
    await this.#admin('faults', { method: 'DELETE' });
  }

  /** All that its store holds. */
  async snapshot(): Promise<StoreSnapshot> {
    return (await this.#admin('snapshot', {})) as StoreSnapshot;
  }

  async #admin(name: string, request: RequestInit): Promise<unknown> {
    const { gatewayUrl, adminKey } = this.announced;
    const url = new URL(`/_emulator/${name}`, gatewayUrl);
    const reply = await fetch(url, { ...request, headers: { 'X-Emulator-Key': adminKey } });
    if (!reply.ok) throw new Error(`${name}: the emulator answered ${reply.status}`);
    return reply.json();
  }
}

function portOf(url: string): string {
  return new URL(url).port;
}
