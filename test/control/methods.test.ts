// The methods of a mount, over a real socket: what goes in, what comes out, and what unmount makes of what is pending.
import { join } from 'node:path';
import tmp from 'tmp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectControl, type ControlClient } from '../../src/control/client.ts';
import { askMount, controlHandlers } from '../../src/control/methods.ts';
import { type ControlServer, serveControl } from '../../src/control/server.ts';
import { FakeMount, storing } from '../fakes/fake-mount.ts';

const mountpoint = '/mnt/drive';
let directory: tmp.DirResult;
let mount: FakeMount;
let server: ControlServer;
let client: ControlClient;

beforeEach(async () => {
  directory = tmp.dirSync({ unsafeCleanup: true });
  const runtimeDirectory = join(directory.name, 'run');
  mount = new FakeMount(mountpoint);
  server = await serveControl({ runtimeDirectories: [runtimeDirectory], mountpoint, handlers: controlHandlers(mount) });
  client = (await connectControl({ runtimeDirectories: [runtimeDirectory], mountpoint })) as ControlClient;
});
afterEach(async () => {
  client.close();
  await server.stop();
  directory.removeCallback();
});

describe('status', () => {
  it('gives all items, or as many as are wanted; the counts stay', async () => {
    mount.pending = [storing('/a'), storing('/b'), storing('/c')];
    const all = await askMount(client, 'status', {});
    expect(all.pending).toMatchObject({ files: 3, items: mount.pending });
    const some = await askMount(client, 'status', { itemsMax: 1 });
    expect(some.pending).toMatchObject({ files: 3, items: [{ path: '/a' }] });
    expect(mount.itemsAsked).toEqual([Infinity, 1]);
  });
});

it('the status of a mount that an earlier version of the program serves has what that does not tell, empty', async () => {
  const told = { mountpoint, connection: 'work', pid: 7, online: true, failed: [] };
  const status = await askMount({ ...client, call: () => Promise.resolve(told) }, 'status', {});
  expect(status).toMatchObject({ ...told, refusedSignIns: [], pending: { files: 0, items: [] } });
});

describe('flush', () => {
  it('answers when everything is stored', async () => {
    mount.pending = [storing('/a')];
    const flushed = askMount(client, 'flush', { timeoutMs: 10_000 });
    await mount.flushing;
    mount.store('/a');
    expect(await flushed).toEqual({ left: [] });
  });

  it('answers with what is left when the time is over', async () => {
    mount.pending = [{ ...storing('/a'), error: 'no answer' }];
    expect(await askMount(client, 'flush', { timeoutMs: 1 })).toEqual({
      left: [{ path: '/a', change: 'store', error: 'no answer', failed: false }],
    });
  });

  it('ends in the daemon when who asked has left', async () => {
    mount.pending = [storing('/a')];
    const flushed = askMount(client, 'flush', { timeoutMs: 10_000 });
    await mount.flushing;
    client.close();
    await expect(flushed).rejects.toThrow('without an answer');
    await expect(mount.flushEnded).resolves.toBe('aborted');
  });

  it.each([{}, { timeoutMs: -1 }, { timeoutMs: 'soon' }])('refuses %j', async (params) => {
    await expect(client.call('flush', params)).rejects.toThrow('"timeoutMs" must be a number');
  });
});

describe('unmount', () => {
  const now = { timeoutMs: 1, lazy: false };

  it('that waits stores everything first', async () => {
    mount.pending = [storing('/a')];
    const unmounted = askMount(client, 'unmount', { timeoutMs: 10_000, lazy: false, wait: true });
    await mount.flushing;
    expect(mount.unmounted).toBe(false);
    mount.store('/a');
    expect(await unmounted).toEqual({ left: 0 });
    expect(mount.unmounted).toBe(true);
  });

  it('that waits in vain leaves the mount', async () => {
    mount.pending = [storing('/a'), storing('/b')];
    await expect(askMount(client, 'unmount', { ...now, wait: true })).rejects.toThrow('2 changes are not at Syncp');
    expect(mount.unmounted).toBe(false);
  });

  it('that waits goes on where only failed changes are left, and counts them', async () => {
    mount.fail('/a', 'no quota');
    expect(await askMount(client, 'unmount', { ...now, wait: true })).toEqual({ left: 1 });
    expect(mount.unmounted).toBe(true);
  });

  it('that does not wait counts all that is kept', async () => {
    mount.pending = [storing('/a')];
    mount.fail('/b', 'no quota');
    expect(await askMount(client, 'unmount', { ...now, wait: false })).toEqual({ left: 2 });
  });

  it('is answered although the server ends with the mount', async () => {
    mount.onUnmount = () => void server.stop();
    expect(await askMount(client, 'unmount', { ...now, wait: false })).toEqual({ left: 0 });
    await client.closed;
  });

  it('passes on why it cannot be', async () => {
    mount.onUnmount = () => {
      throw new Error('the mount is busy');
    };
    await expect(askMount(client, 'unmount', { ...now, wait: false })).rejects.toThrow('the mount is busy');
  });
});

describe('decisions', () => {
  it('are carried to the mount, their count back', async () => {
    mount.fail('/a/b', 'no quota');
    mount.fail('/a/c', 'no quota');
    expect(await askMount(client, 'retry', { path: '/a/b' })).toEqual({ changes: 1 });
    expect(await askMount(client, 'discard', { path: '/a' })).toEqual({ changes: 1 });
    expect(await askMount(client, 'save', { path: '/x', to: '/tmp/x' })).toEqual({ bytes: 42 });
    expect(mount.saved).toEqual([['/x', '/tmp/x']]);
  });

  it.each([
    ['retry', {}],
    ['discard', { path: '' }],
    ['save', { path: '/a' }],
  ])('%s refuses %j', async (method, params) => {
    await expect(client.call(method, params)).rejects.toThrow('must be a text');
  });

  it('what is about paths is carried to the mount', async () => {
    mount.notKept = [{ path: '/a', reason: 'no answer' }];
    expect(await askMount(client, 'pin', { paths: ['/a', '/b'], wait: false })).toEqual({ failed: mount.notKept });
    expect(await askMount(client, 'unpin', { paths: ['/a'] })).toEqual({ pins: 1 });
    expect(await askMount(client, 'free', { paths: ['/a'] })).toMatchObject({ files: 2, pinned: 1 });
    expect(await askMount(client, 'refresh', { paths: ['/a'], recursive: true })).toEqual({ folders: 1 });
    expect(mount.asked).toEqual([
      ['pin', ['/a', '/b'], false],
      ['unpin', ['/a']],
      ['free', ['/a']],
      ['refresh', ['/a'], true],
    ]);
  });

  it.each([{}, { paths: [] }, { paths: [1] }, { paths: '/a' }, { paths: [''] }])('pin refuses %j', async (params) => {
    await expect(client.call('pin', params)).rejects.toThrow('must be a list of texts');
  });

  it('pause and resume', async () => {
    await askMount(client, 'pause', {});
    expect(mount.paused).toBe(true);
    await askMount(client, 'resume', {});
    expect(mount.paused).toBe(false);
  });
});

describe('locate and service', () => {
  it('tell where a path is, and how the service is reached', async () => {
    expect(await askMount(client, 'locate', { path: '/a' })).toEqual({ kind: 'root' });
    expect(mount.asked).toEqual([['locate', '/a']]);
    expect(await askMount(client, 'service', {})).toEqual(mount.service());
    await expect(client.call('locate', {})).rejects.toThrow('"path" must be a text');
  });
});
