// Completion as the shells use it: what the program answers, and the scripts in the shells themselves where they are installed.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { programFile, User } from './program.ts';

let user: User;
beforeEach(() => (user = new User()));
afterEach(() => user.remove());

async function words(...line: string[]): Promise<{ words: string[]; directive: string }> {
  const { code, stdout, stderr } = await user.run(['complete-words', '--', ...line]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.trimEnd().split('\n');
  return { words: lines.slice(0, -1).map((text) => text.split('\t')[0] as string), directive: lines.at(-1) as string };
}

const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

describe('the program answers', () => {
  it('the commands and options that its help shows, no hidden one', async () => {
    const { words: commands } = await words('');
    expect(commands).toEqual(
      expect.arrayContaining(['mount', 'unmount', 'status', 'connections', 'completion', 'help']),
    );
    expect(commands).not.toContain('mount-daemon');
    expect(commands).not.toContain('complete-words');
    expect((await words('connections', 'pool', '')).words).toEqual(['assign', 'unassign', 'help']);
    const options = (await words('connections', 'add', '--')).words;
    expect(options).toEqual(expect.arrayContaining(['--platform', '--name', '--auth-file', '--help']));
    expect(options).not.toContain('--in');
    expect((await words('connections', 'add', '--name', 'x', '--na')).words).toEqual([]);
  });

  it.each([
    [
      ['emulator', '--layout', ''],
      ['single', 'children'],
    ],
    [['emulator', '--layout=c'], ['--layout=children']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['connections', 'add', '-p', 'sy'], ['syncplicity']],
    [
      ['connections', 'platforms', ''],
      ['fs', 'syncplicity'],
    ],
    [['mount', '-o', 'ro,cache_s'], ['ro,cache_size=']],
    [['mount', '-o', 'ro', '-o', 'write_'], ['write_through']],
    [['mount', '--', '--read'], []],
    [['no-such-command', ''], []],
    [
      ['help', 'pa'],
      ['pause', 'participants'],
    ],
    [['connections', 'help', 'lo'], ['login']],
    [['mount', 'help', 'lo'], []],
  ])('%j with %j', async (line, expected) => {
    expect((await words(...line)).words).toEqual(expected);
  });

  it('connections by name, pools, and what the disk adds', async () => {
    await user.addDirectory('my work', '/usr');
    await user.addDirectory('other', '/usr');
    await user.run(['connections', 'pool', 'assign', 'other', '--name', 'team']);
    expect((await words('connections', 'show', '')).words).toEqual(['my work', 'other', 'team']);
    expect((await words('connections', 'pool', 'assign', 'other', '--pool', '')).words).toEqual(['team']);
    expect(await words('mount', 'm')).toEqual({ words: ['my work'], directive: ':directories' });
    expect(await words('mount', '--read-only', 'other', '')).toEqual({ words: [], directive: ':directories' });
    expect(await words('pin', '')).toEqual({ words: [], directive: ':files' });
    expect(await words('unmount', '')).toEqual({ words: [], directive: ':directories' });
  });

  it('nothing where the store is damaged', async () => {
    mkdirSync(join(user.home, '.config', 'syncplicityfs'), { recursive: true });
    writeFileSync(join(user.home, '.config', 'syncplicityfs', 'connections.json'), '{', { mode: 0o600 });
    expect(await words('connections', 'show', '')).toEqual({ words: [], directive: ':none' });
  });
});

/** The program under its name, as a shell finds it. */
function pathWithProgram(): string {
  const bin = user.directory('bin');
  const file = join(bin, 'syncplicityfs');
  writeFileSync(file, `#!/bin/sh\nexec ${process.execPath} ${programFile} "$@"\n`);
  chmodSync(file, 0o755);
  return `${bin}:${process.env['PATH'] ?? ''}`;
}

describe('bash', () => {
  /** What its function replies to a line as bash splits it. */
  async function replies(...compWords: string[]): Promise<string[]> {
    const script = [
      // Outside a completion it can only complain.
      'compopt() { :; }',
      'source <(syncplicityfs completion bash)',
      'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))',
      '_syncplicityfs "$1" "${COMP_WORDS[COMP_CWORD]}" ""',
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join('\n');
    const { stdout } = await promisify(execFile)('bash', ['-euc', script, 'bash', 'syncplicityfs', ...compWords], {
      env: { ...user.environment, PATH: pathWithProgram() },
      cwd: user.directory('cwd'),
    });
    return stdout.split('\n').filter((line) => line !== '');
  }

  it('completes commands, values, what it splits at "=", and names with blanks', async () => {
    await user.addDirectory('my work', '/usr');
    user.directory('cwd', 'drive');
    expect(await replies('unm')).toEqual(['unmount']);
    expect(await replies('emulator', '--layout', '=', 'c')).toEqual(['children']);
    expect(await replies('emulator', '--layout', '=')).toEqual(['single', 'children']);
    expect(await replies('mount', '-o', 'cache_s')).toEqual(['cache_size=']);
    expect(await replies('connections', 'show', 'my')).toEqual([String.raw`my\ work`]);
    expect(await replies('connections', 'show', String.raw`my\ w`)).toEqual([String.raw`my\ work`]);
    expect(await replies('connections', 'show', '"my w')).toEqual(['my work']);
    expect(await replies('mount', String.raw`my\ work`, 'dr')).toEqual(['drive']);
  });
});

describe.each([
  ['bash', 'bash --norc --noprofile -i', 'source <(syncplicityfs completion bash)'],
  ['zsh', 'zsh -f -i', 'autoload -U compinit; compinit -u -D; source <(syncplicityfs completion zsh)'],
])('%s at a prompt', (shell, command, setUp) => {
  it.skipIf(!isInstalled(shell) || !isInstalled('script'))('completes what is typed', async () => {
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { ...user.environment, TERM: 'dumb', PS1: '$ ', PATH: pathWithProgram() },
    });
    let shown = '';
    const said = (text: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (shown.includes(text)) resolve();
        };
        child.stdout.on('data', look);
        child.once('close', () => reject(new Error(shown)));
        look();
      });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text));
    child.stdin.write(`${setUp}; echo re""ady\n`);
    await said('ready');
    child.stdin.write('syncplicityfs connections pool una\t');
    await said('unassign');
    const closed = once(child, 'close');
    child.stdin.write('\u0015exit\n');
    await closed;
  });
});

it.skipIf(!isInstalled('fish'))('fish completes commands, values and names with blanks', async () => {
  await user.addDirectory('my work', '/usr');
  const script = user.run(['completion', 'fish']).then(({ stdout }) => stdout);
  const file = join(user.home, 'completion.fish');
  writeFileSync(file, await script);
  const replies = (line: string): string[] => {
    const { stdout, stderr } = spawnSync('fish', ['-c', `source ${file}; complete -C ${JSON.stringify(line)}`], {
      env: { ...user.environment, PATH: pathWithProgram() },
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    return stdout.split('\n').map((text) => text.split('\t')[0] as string);
  };
  expect(replies('syncplicityfs unm')).toEqual(['unmount', '']);
  expect(replies('syncplicityfs emulator --layout ')).toEqual(['children', 'single', '']);
  expect(replies('syncplicityfs connections show my')).toEqual(['my work', '']);
});

describe.each([
  ['bash', ['-n']],
  ['zsh', ['-n']],
  ['fish', ['--no-execute']],
])('the script of %s', (shell, check) => {
  it('is the same for everybody, and names only the command it calls', async () => {
    const { code, stdout } = await user.run(['completion', shell]);
    expect(code).toBe(0);
    expect(stdout).toContain('complete-words');
    expect(stdout).not.toContain('__WORDS__');
  });

  it.skipIf(!isInstalled(shell))('has no fault of syntax', async () => {
    const { stdout } = await user.run(['completion', shell]);
    const file = join(user.home, 'script');
    writeFileSync(file, stdout);
    expect(spawnSync(shell, [...check, file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
  });
});
