// A place to try programs at: a writable drive with two syncpoints, a local directory beside it, and a shell that knows both.
// Promises: `same` compares what the mount shows with what the service's own store holds, after everything was sent.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { expect } from 'vitest';
import { Drive, type DriveOptions } from '../mount/drive.ts';
import { noteLeak } from '../secrecy.ts';

/** 100 ns, the service's unit of time. */
const TICK_NS = 100n;

export interface DeskOptions extends DriveOptions {
  /** Environment of the scripts, besides what `Desk.script` says. */
  readonly environment?: NodeJS.ProcessEnv;
}

export class Desk {
  readonly drive = new Drive();
  readonly #options: DeskOptions;

  private constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** A mounted drive with the syncpoints `Projects` and `Archive`. */
  static async set(options: DeskOptions = {}): Promise<Desk> {
    const desk = new Desk(options);
    desk.drive.store.addSyncpoint('Projects');
    desk.drive.store.addSyncpoint('Archive');
    try {
      await desk.drive.serve(options);
      await desk.drive.mount(options);
    } catch (error) {
      await desk.drive.stop();
      throw error;
    }
    return desk;
  }

  async clear(): Promise<void> {
    await this.drive.stop();
  }

  /** A path in the mount. */
  at(...names: readonly string[]): string {
    return join(this.drive.mountpoint, ...names);
  }

  /** A path on the local disk. */
  local(...names: readonly string[]): string {
    return join(this.drive.user.directory('local'), ...names);
  }

  /**
   * Runs a bash script, in the local directory, to its end and returns what it printed. Any command that fails fails the test.
   * `$M` is the mountpoint, `$P` and `$A` are its syncpoints, `$L` is the local directory, `$T` is where these tests lie.
   */
  async script(text: string): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(text);
    if (code !== 0) throw new Error(`${text}\nended with ${String(code)}: ${stdout}${stderr}`);
    return stdout;
  }

  /** As {@link script}, whatever comes of it. */
  async attempt(
    text: string,
  ): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
      cwd: this.local(),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...this.drive.user.environment,
        M: this.drive.mountpoint,
        P: this.at('Projects'),
        A: this.at('Archive'),
        L: this.local(),
        T: import.meta.dirname,
        ...this.#options.environment,
      },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    noteLeak(text, stdout + stderr);
    return { code, stdout, stderr };
  }

  /** Sends everything; nothing may be left, and nothing may have failed or met a conflict. */
  async flush(): Promise<void> {
    await this.drive.succeed(['flush', this.drive.mountpoint]);
    const { pending, failed, conflicts, unfinished } = await this.drive.status();
    expect({ pending: pending.files, failed, conflicts, unfinished }).toEqual({
      pending: 0,
      failed: [],
      conflicts: [],
      unfinished: [],
    });
  }

  /** Mounts as at first. */
  async mount(): Promise<void> {
    await this.drive.mount(this.#options);
  }

  /** Unmounts and mounts again. `unsent`: what is pending goes on afterwards; `wiped`: as on a machine that never saw this account. */
  async remount(how: 'as it is' | 'unsent' | 'wiped' = 'as it is'): Promise<void> {
    if (how === 'unsent') await this.drive.succeed(['unmount', '--no-wait', this.drive.mountpoint]);
    else await this.drive.unmount();
    if (how === 'wiped') {
      await rm(this.drive.user.directory('.local', 'state', 'syncplicityfs', 'accounts'), { recursive: true });
      await rm(this.drive.user.directory('.cache'), { recursive: true });
    }
    await this.mount();
  }

  /**
   * Sends everything and compares mount and service: names, kinds, sizes, bytes and, unless told otherwise, times. `below`: only these
   * directories; a tree that grows from test to test need not be read again each time.
   */
  async same({
    below,
    times = true,
  }: { readonly below?: readonly string[]; readonly times?: boolean } = {}): Promise<void> {
    await this.flush();
    const among = (line: string): boolean => below?.some((directory) => line.startsWith(`${directory}/`)) ?? true;
    const held = (await this.heldByService(times)).filter(among);
    const shown = await Promise.all((below ?? ['']).map((directory) => this.shownByMount(times, directory)));
    expect(shown.flat().sort()).toEqual(held);
  }

  /** `path: folder` or `path: length sha256 [time]` of all that the service holds, sorted. */
  async heldByService(times = false): Promise<readonly string[]> {
    const lines: string[] = [];
    for (const { name, entries } of (await this.drive.emulator.snapshot()).syncpoints) {
      lines.push(`${name}: folder`);
      for (const entry of entries) {
        const path = `${name}/${entry.path}`;
        if (entry.kind === 'folder') lines.push(`${path}: folder`);
        else lines.push(`${path}: ${entry.lengthBytes} ${entry.sha256}${times ? ` ${entry.modified}` : ''}`);
      }
    }
    return lines.sort();
  }

  /** The same lines as programs see them. What stays on this machine only is left out. */
  async shownByMount(times = false, below = ''): Promise<readonly string[]> {
    const lines: string[] = [];
    await this.#show(below, lines, times);
    return lines.sort();
  }

  async #show(directory: string, lines: string[], times: boolean): Promise<void> {
    for (const entry of await readdir(this.at(directory), { withFileTypes: true })) {
      const path = directory === '' ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory()) {
        lines.push(`${path}: folder`);
        await this.#show(path, lines, times);
        continue;
      }
      const { size, mtimeNs } = await stat(this.at(path), { bigint: true });
      lines.push(`${path}: ${size} ${await sha256(this.at(path))}${times ? ` ${serviceTime(mtimeNs)}` : ''}`);
    }
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** A time as the store's snapshot writes it, cut to the service's unit. */
function serviceTime(ns: bigint): string {
  const ticks = ns / TICK_NS;
  const seconds = new Date(Number(ticks / 10_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(ticks % 10_000_000n).padStart(7, '0')}Z`;
}
