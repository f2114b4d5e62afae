// A user at a shell, with `syncplicityfs` in the PATH and a home of their own, for the examples of documents.
import { spawn } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findMount } from '../../src/base/mount-table.ts';
import { programFile, User } from '../cli/program.ts';
import { noteLeak } from '../secrecy.ts';

/** An example that waits for a change to be seen waits for a listing's lifetime of a second. */
const EXAMPLE_LIMIT_MS = 20_000;

export class Shell {
  readonly #user = new User();
  readonly #bin = this.#user.directory('bin');

  constructor() {
    const path = join(this.#bin, 'syncplicityfs');
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${programFile}' "$@"\n`);
    chmodSync(path, 0o755);
  }

  /** Runs a command at home and gives back what a terminal would show; a shell there puts no line number before its errors. */
  run(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = spawn('bash', ['-c', `exec 2>&1\n${command}`], {
        cwd: this.#user.home,
        env: { ...this.#user.environment, PATH: `${this.#bin}:${process.env['PATH'] ?? ''}` },
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: EXAMPLE_LIMIT_MS,
        killSignal: 'SIGKILL',
      });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (piece: string) => (output += piece));
      child.on('error', reject);
      child.on('close', (_code, signal) => {
        noteLeak(command, output);
        if (signal === null) resolve(output.replace(/^bash: line \d+: /gm, 'bash: '));
        else reject(new Error(`ended by ${signal}, after ${EXAMPLE_LIMIT_MS} ms at most: ${command}`));
      });
    });
  }

  /** Ends the mount on ~/drive, if an example that failed has left it, and removes the home. */
  async remove(): Promise<void> {
    const mountpoint = this.#user.directory('drive');
    if ((await findMount(mountpoint)) !== undefined) await this.#user.run(['unmount', '--lazy', mountpoint]);
    this.#user.remove();
  }
}
