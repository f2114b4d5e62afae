// flush, unmount, pause, and what is decided about failed changes: the commands in this process, against a daemon without kernel
// and service.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UsageError } from '../../src/base/usage-error.ts';
import type { CliContext } from '../../src/cli/context.ts';
import { drain } from '../../src/cli/drain.ts';
import { createProgram } from '../../src/cli/program.ts';
import { requireServing } from '../../src/cli/serving-mount.ts';
import { askDaemon } from '../../src/cli/unmount.ts';
import { controlHandlers } from '../../src/control/methods.ts';
import { serveControl } from '../../src/control/server.ts';
import { FakeMount, storing } from '../fakes/fake-mount.ts';

let directory: tmp.DirResult;
let mountpoint: string;
let mount: FakeMount;
let output: string[];
let drawn: string;
let context: CliContext;
let stops: (() => Promise<void> | void)[];

beforeEach(async () => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  const { name } = directory;
  const runtime = join(name, 'run');
  mountpoint = join(name, 'drive');
  mkdirSync(mountpoint);
  output = [];
  drawn = '';
  context = {
    directories: { config: name, state: name, cache: name, runtime: [runtime], thumbnails: name },
    environment: {},
    print: (line) => void output.push(line),
    warn: (line) => void output.push(`warning: ${line}`),
    warnPlain: (line) => void output.push(line),
    terminal: undefined,
    setExitCode: (code) => void output.push(`exit ${code}`),
  };
  stops = [];
  mount = new FakeMount(mountpoint);
  await serve(mountpoint, mount);
});
afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
  directory.removeCallback();
});

async function serve(place: string, served: FakeMount): Promise<void> {
  const runtimeDirectories = context.directories.runtime;
  const handlers = controlHandlers(served);
  const server = await serveControl({ runtimeDirectories, mountpoint: place, handlers });
  stops.push(() => server.stop());
}

/** Runs a command line and gives back what it printed; rejects as the command does. */
async function run(...args: string[]): Promise<string[]> {
  const program = createProgram(context, '0');
  program.exitOverride();
  program.commands.forEach((command) => command.exitOverride().configureOutput({ writeErr: () => undefined }));
  await program.parseAsync(args, { from: 'user' });
  return output;
}

const onTerminal = (columns = 80): void => {
  context = { ...context, terminal: { columns, write: (text) => void (drawn += text) } };
};

describe('flush', () => {
  it('ends when everything is stored, and says nothing', async () => {
    mount.pending = [storing('/a')];
    const flushed = run('flush', mountpoint);
    await mount.flushing;
    mount.store('/a');
    expect(await flushed).toEqual([]);
  });

  it('lists what is not stored when the time is over, and why', async () => {
    mount.pending = [{ ...storing('/a\nb'), error: 'no answer' }, storing('/c')];
    mount.fail('/d', 'no quota');
    await expect(run('flush', mountpoint, '--timeout', '10ms')).rejects.toThrow(
      `3 changes of ${mountpoint} are not at Syncplicity after 0 s\n  store /a?b: no answer\n  store /c: waiting\n  store /d: failed: no quota`,
    );
  });

  it('does not wait for what failed', async () => {
    mount.fail('/d', 'no quota');
    await expect(run('flush', mountpoint)).rejects.toThrow(
      `1 change of ${mountpoint} is not at Syncplicity\n  store /d: failed: no quota`,
    );
  });

  it('draws its progress on a terminal, and wipes it away', async () => {
    onTerminal();
    mount.pending = [storing('/a', 3 * 2 ** 20), storing('/b', 2 ** 20)];
    const flushed = run('flush', mountpoint);
    await mount.flushing;
    await expect.poll(() => drawn).toContain('[------------------------]   0 %  0 B of 4.0 MiB, 0 of 2 changes');
    mount.store('/a');
    await expect.poll(() => drawn).toContain('3.0 MiB of 4.0 MiB, 1 of 2 changes');
    mount.store('/b');
    expect(await flushed).toEqual([]);
    expect(drawn.endsWith('\r\u001b[K')).toBe(true);
  });

  it('draws on a terminal that does not tell its size', async () => {
    onTerminal(0);
    mount.pending = [storing('/a', 2 ** 20)];
    const flushed = run('flush', mountpoint);
    await expect.poll(() => drawn).toContain(']   0 %  0 B of 1.0 MiB, 0 of 1 change');
    mount.store('/a');
    await flushed;
  });

  it.each([
    [{ paused: true }, 'because transfers are paused'],
    [{ online: false }, 'because the service is out of reach'],
    [{ sendingHeldSeconds: 720 }, 'because the call budget keeps changes back for 12 min'],
    [{}, 'because nothing moved for a while'],
  ])('gives up when nothing moves (%j)', async (state, reason) => {
    Object.assign(mount, state);
    mount.pending = [storing('/a')];
    const serving = await requireServing(context, mountpoint);
    stops.push(() => serving.client.close());
    const stallMs = mount.paused ? 60_000 : 20;
    const drained = await drain(context, serving, { timeoutMs: undefined, stallMs });
    expect(drained).toEqual({ left: [{ path: '/a', change: 'store', error: '', failed: false }], reason });
  });

  it('waits on while something moves', async () => {
    mount.pending = [storing('/a', 1_000)];
    const serving = await requireServing(context, mountpoint);
    stops.push(() => serving.client.close());
    const status = mount.status.bind(mount);
    let looks = 0;
    mount.status = (itemsMax) => {
      looks += 1;
      mount.pending = looks < 20 ? [{ ...storing('/a', 1_000), sent: looks }] : [];
      if (looks === 20) mount.store('/a');
      return status(itemsMax);
    };
    const drained = await drain(context, serving, { timeoutMs: undefined, stallMs: 15 });
    expect(drained.left).toEqual([]);
  });

  it('ends with Ctrl-C', async () => {
    mount.pending = [storing('/a')];
    const flushed = run('flush', mountpoint);
    await mount.flushing;
    process.emit('SIGINT');
    await expect(flushed).rejects.toThrow('interrupted; what is not sent yet is kept');
    expect(await mount.flushEnded).toBe('aborted');
  });

  it.each([['flush'], ['pause'], ['resume']])('%s says that nothing is mounted there', async (command) => {
    await expect(run(command, directory.name)).rejects.toThrow('is not a mount of syncplicityfs of yours');
    await expect(run(command, join(directory.name, 'none'))).rejects.toThrow('does not exist');
    await expect(run(command, '')).rejects.toThrow(UsageError);
  });
});

describe('unmount', () => {
  const options = { timeoutMs: undefined, wait: true, lazy: false };
  async function ask(changed: Partial<typeof options> | { timeoutMs: number }): Promise<string[]> {
    const serving = await requireServing(context, mountpoint);
    stops.push(() => serving.client.close());
    await askDaemon(context, serving, { ...options, ...changed });
    return output;
  }

  it('sends what is pending first', async () => {
    mount.pending = [storing('/a')];
    const unmounted = ask({});
    await mount.flushing;
    expect(mount.unmounted).toBe(false);
    mount.store('/a');
    expect(await unmounted).toEqual([]);
    expect(mount.unmounted).toBe(true);
  });

  it('stays mounted where the time does not suffice, and lists ten changes', async () => {
    mount.pending = Array.from({ length: 12 }, (_, index) => storing(`/f${index}`));
    const failure = ask({ timeoutMs: 10 });
    await expect(failure).rejects.toThrow(
      `12 changes of ${mountpoint} are not at Syncplicity after 0 s: it stays mounted; --no-wait leaves them for the next mount\n  store /f0: waiting\n`,
    );
    await expect(failure).rejects.toThrow('\n  store /f9: waiting\n  and 2 more');
    expect(mount.unmounted).toBe(false);
  });

  it('with --no-wait says how many changes are kept', async () => {
    mount.pending = [storing('/a'), storing('/b')];
    expect(await ask({ wait: false })).toEqual([`warning: 2 changes of ${mountpoint} are kept for the next mount`]);
    expect(mount.unmounted).toBe(true);
  });

  it('does not stay for failed changes, but tells of them', async () => {
    mount.pending = [storing('/a')];
    const unmounted = ask({});
    await mount.flushing;
    mount.fail('/a', 'no quota');
    expect(await unmounted).toEqual([
      `warning: 1 change of ${mountpoint} failed and is kept; when it is mounted again, status shows why`,
    ]);
  });

  it('of a detached daemon waits until its changes are stored', async () => {
    mount.pending = [storing('/a')];
    await expect(run('unmount', mountpoint, '--timeout', '10ms')).rejects.toThrow('its daemon goes on sending them');
    const unmounted = run('unmount', mountpoint);
    await expect.poll(() => mount.flushes).toBe(2);
    mount.store('/a');
    // This process, which plays the daemon, goes on.
    expect(await unmounted).toEqual([expect.stringContaining('is detached; its daemon (process')]);
  });
});

describe('pause and resume', () => {
  it('reach the mount', async () => {
    expect(await run('pause', mountpoint)).toEqual([]);
    expect(mount.paused).toBe(true);
    await run('resume', mountpoint);
    expect(mount.paused).toBe(false);
  });
});

describe('what failed', () => {
  beforeEach(() => {
    mount.fail('/Project/a', 'no quota');
    mount.fail('/Project/b', 'no quota');
  });
  const paths = (): string[] => mount.failed.map(({ path }) => path);

  it('is tried again, by the path that status shows', async () => {
    expect(await run('status', '--retry', '/Project/a')).toEqual(['1 change will be tried again']);
    expect([paths(), mount.pending.map(({ path }) => path)]).toEqual([['/Project/b'], ['/Project/a']]);
  });

  it.each([
    ['the mountpoint named', (): string[] => [mountpoint, '--discard', '/Project']],
    ['a slash at the end', (): string[] => ['--discard', '/Project/']],
    ['no slash at all', (): string[] => ['--discard', 'Project']],
    ['a path below the mountpoint', (): string[] => ['--discard', join(mountpoint, 'Project')]],
    ['the mountpoint itself', (): string[] => ['--discard', mountpoint]],
  ])('is discarded with all below a directory: %s', async (_, args) => {
    expect(await run('status', ...args())).toEqual(['2 changes discarded']);
    expect(paths()).toEqual([]);
  });

  it('is found through symbolic links and from within the mount', async () => {
    symlinkSync(mountpoint, join(directory.name, 'link'));
    await run('status', '--discard', join(directory.name, 'link', 'Project', 'a'));
    expect(paths()).toEqual(['/Project/b']);
  });

  it("is found in a mount of one folder, whose paths begin at the drive's root", async () => {
    mount.root = '/Project';
    await run('status', '--retry', join(mountpoint, 'a'));
    expect(paths()).toEqual(['/Project/b']);
    await run('status', '--retry', '/Project/b');
    expect(paths()).toEqual([]);
  });

  it('is looked for in one mount only', async () => {
    const other = join(directory.name, 'other');
    mkdirSync(other);
    await serve(other, new FakeMount(other));
    await expect(run('status', '--retry', '/Project/a')).rejects.toThrow('several drives are mounted');
    await expect(run('status', other, '--retry', '/Project/a')).rejects.toThrow('nothing at /Project/a of');
    await run('status', '--retry', join(mountpoint, 'Project/a'));
    expect(paths()).toEqual(['/Project/b']);
  });

  it('is saved to a new file, or into a directory, but nowhere else', async () => {
    const place = join(directory.name, 'saved');
    expect(await run('status', '--save', '/Project/a', place)).toEqual([`42 B saved to ${place}`]);
    await run('status', '--save', '/Project/a', directory.name);
    expect(mount.saved).toEqual([
      ['/Project/a', place],
      ['/Project/a', join(directory.name, 'a')],
    ]);
    writeFileSync(place, 'mine');
    await expect(run('status', '--save', '/Project/a', place)).rejects.toThrow('exists already');
    await expect(run('status', '--save', '/Project/a', join(mountpoint, 'x'))).rejects.toThrow('in the drive itself');
    expect(mount.saved).toHaveLength(2);
  });

  it.each([[['--save', '/a']], [['--save', '/a', '/b', '/c']], [['--save', '/a', '']], [['--retry', '']]])(
    '%j is wrong usage',
    async (args) => {
      await expect(run('status', ...args)).rejects.toThrow(UsageError);
    },
  );

  it.each([[['--retry', '/a', '--discard', '/a']], [['--retry', '/a', '--json']], [['--save', '/a', '/b', '--watch']]])(
    '%j exclude each other',
    async (args) => {
      await expect(run('status', ...args)).rejects.toThrow('cannot be used with');
    },
  );

  it('needs a mount', async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
    await expect(run('status', '--retry', '/a')).rejects.toThrow('nothing is mounted');
  });
});

describe('status', () => {
  it('asks for ten items unless all are wanted', async () => {
    mount.pending = Array.from({ length: 12 }, (_, index) => storing(`/f${index}`));
    const [short] = await run('status');
    expect(short).toContain('and 2 more');
    output = [];
    context = { ...context, print: (line) => void output.push(line) };
    const [long] = await run('status', '--all');
    expect(long).toContain('store /f11: waiting');
    expect(mount.itemsAsked).toEqual([10, Infinity]);
  });
});
