// What needs a person reaches them, from a real mount: on a desktop's session bus as it is, or in the daemon's log.
import { readFileSync, readdirSync } from 'node:fs';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, it } from 'vitest';
import { hasDbus, Session, type SessionOptions } from '../desktop/session.ts';
import type { Outcome } from '../cli/program.ts';
import { Drive, fuseExists } from './drive.ts';
import { leaveUnfinished } from './unfinished-file.ts';

/** A drive, the session that it is mounted in, and what both leave. */
class Place {
  readonly drive = new Drive();
  readonly top: string;
  #session: Session | undefined;

  constructor(onTestFinished: (work: () => Promise<void>) => void) {
    this.drive.store.addSyncpoint('Project');
    this.top = join(this.drive.mountpoint, 'Project');
    onTestFinished(async () => {
      await this.drive.stop();
      await this.#session?.stop();
    });
  }

  /** A session, with a desktop unless told otherwise. */
  async session(options?: SessionOptions | 'without a desktop'): Promise<Session> {
    this.#session = await (options === 'without a desktop' ? Session.start() : Session.withDesktop(options));
    return this.#session;
  }

  /** Mounts in that session. */
  async mount(args: readonly string[] = []): Promise<void> {
    const all = ['mount', 'test', this.drive.mountpoint, '--settle', '0s', ...args];
    const { code, stderr } = await this.drive.user.run(all, { env: this.#session?.environment ?? {} });
    if (code !== 0) throw new Error(stderr);
  }

  /** The lines of the daemon's log, without their times. */
  logged(): string[] {
    const directory = this.drive.user.directory('.local', 'state', 'syncplicityfs', 'logs');
    const lines = readdirSync(directory).flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'));
    return lines.map((line) => line.replace(/^\S+Z /, ''));
  }
}

// At once: each waits most of the time.
describe.skipIf(!fuseExists || !hasDbus).concurrent('notifications', () => {
  it('many files refused for one quota are one notification, and none after a remount', async ({
    expect,
    onTestFinished,
  }) => {
    const place = new Place(onTestFinished);
    const { drive, top } = place;
    await drive.serve({ emulator: { quotaBytes: 5_000 } });
    const desktop = await place.session();
    await place.mount();
    const names = Array.from({ length: 12 }, (_, index) => `file ${index}`);
    for (const name of names) await writeFile(join(top, name), Buffer.alloc(6_000, name));
    expect((await drive.user.run(['flush', drive.mountpoint])).code).toBe(1);
    const [first] = await desktop.notified(1);
    expect(first).toMatchObject({ app: 'syncplicityfs', title: 'No room at Syncplicity', replaces: 0 });
    expect(first?.text).toMatch(/^&quot;file \d+&quot; and \d+ more are not stored: Syncplicity has no room left; /);
    expect(first?.text).toContain(`syncplicityfs status ${drive.mountpoint} --retry /`);
    // What the notification says to do is a command.
    await drive.succeed(['status', drive.mountpoint, '--retry', '/']);
    await expect.poll(async () => (await drive.status()).failed.length, { timeout: 10_000 }).toBe(12);

    await drive.succeed(['unmount', drive.mountpoint, '--no-wait']);
    await place.mount();
    // Longer than what comes together is gathered: nothing comes.
    await delay(1_500);
    expect(desktop.shown).toHaveLength(1);
    expect(place.logged().filter((line) => line.startsWith('No room'))).toEqual([]);
  });

  it('a refused file of a hostile name is one line of text, and is told in the log where nothing shows it', async ({
    expect,
    onTestFinished,
  }) => {
    const place = new Place(onTestFinished);
    const { drive, top } = place;
    await drive.serve();
    const text = 'Reader permission <u>only</u>';
    const uploads = ['saveFile', 'v2mime'];
    drive.emulator.setFaults(uploads.map((endpoint) => ({ kind: 'status', endpoint, status: 403, text, count: 100 })));
    const session = await place.session('without a desktop');
    await place.mount();
    const name = `a&b'\u202egpj.${'x'.repeat(150)}.pdf`;
    await writeFile(join(top, name), 'content');
    const line = `Syncplicity refuses a change: "a&b'?gpj.${'x'.repeat(31)}…${'x'.repeat(15)}.pdf" is kept on this machine only: `;
    await expect
      .poll(() => place.logged().find((one) => one.startsWith(line)), { timeout: 10_000 })
      .toContain('to decide: syncplicityfs status ');
    // The desktop comes up a little later.
    await session.showDesktop();
    const [first] = await session.notified(1);
    expect(first?.text).toContain('&quot;a&amp;b&#39;?gpj.xxx');
    expect(first?.text).toContain('Reader permission &lt;u&gt;only&lt;/u&gt;');
    expect(first?.text).not.toMatch(/[<>\n\u202e]/);
    expect(place.logged().filter((one) => one.startsWith('Syncplicity refuses'))).toHaveLength(1);
  });

  it('a conflict tells which name each side has, and an unfinished file is told of after a crash', async ({
    expect,
    onTestFinished,
  }) => {
    const place = new Place(onTestFinished);
    const { drive, top } = place;
    const { id, rootFolderId } = drive.store.addSyncpoint('Papers');
    const { id: fileId } = drive.store.addFile(id, rootFolderId, 'report.odt', Buffer.from('before'));
    await drive.serve();
    const desktop = await place.session();
    await place.mount();
    const papers = join(drive.mountpoint, 'Papers');
    await readFile(join(papers, 'report.odt'));
    await drive.succeed(['pause', drive.mountpoint]);
    await writeFile(join(papers, 'report.odt'), 'ours');
    drive.store.writeFile(id, fileId, Buffer.from('theirs, longer'));
    await drive.succeed(['refresh', papers]);
    await drive.succeed(['resume', drive.mountpoint]);
    const [conflict] = await desktop.notified(1);
    const kept = (await readdir(papers)).find((name) => name.includes('conflicting')) as string;
    expect(conflict?.title).toBe('Changed here and at Syncplicity');
    expect(conflict?.text.replaceAll('&quot;', '"').replaceAll('&#39;', "'")).toBe(
      `"report.odt": theirs keeps the name, yours is kept as "${kept}"; compare them and remove one`,
    );

    await leaveUnfinished(drive, join(top, 'draft'), 'half');
    await place.mount();
    const [, unfinished] = await desktop.notified(2);
    expect(unfinished?.title).toBe('Unfinished files were found');
    expect(unfinished?.text).toContain('&quot;draft&quot; was being written when ');
    expect(desktop.shown).toHaveLength(2);
  });

  it('a refused sign-in is told with what to do, and a desktop that hangs holds nothing up', async ({
    expect,
    onTestFinished,
  }) => {
    const place = new Place(onTestFinished);
    const { drive, top } = place;
    await drive.serve();
    const desktop = await place.session({ hangs: true });
    await place.mount();
    await readdir(top);
    drive.emulator.setFaults([
      { kind: 'status', endpoint: 'token', status: 401, text: 'invalid_client', count: 1_000 },
    ]);
    drive.emulator.expireTokens();
    await writeFile(join(top, 'late'), 'late');
    const [first] = await desktop.notified(1);
    expect(first?.title).toBe('Syncplicity refuses the sign-in');
    expect(first?.text).toMatch(
      /^test: what needs the sign-in waits until it is mended: .*invalid_client.*`syncplicityfs doctor`$/,
    );
    const { stdout } = await drive.succeed(['status', drive.mountpoint]);
    expect(stdout).toMatch(/^ {2}sign-in {4}REFUSED for \S+: .*invalid_client/m);
    const begunMs = performance.now();
    await writeFile(join(top, 'later'), 'later');
    await drive.succeed(['unmount', drive.mountpoint, '--no-wait']);
    expect(performance.now() - begunMs).toBeLessThan(5_000);
  });

  it('a sign-in refused while a service manager mounts is told once, until a mount succeeds', async ({
    expect,
    onTestFinished,
  }) => {
    const place = new Place(onTestFinished);
    const { drive } = place;
    await drive.serve();
    const desktop = await place.session();
    // Nobody listens there, which is a warning.
    const env = { ...desktop.environment, NOTIFY_SOCKET: join(drive.user.home, 'manager') };
    const start = (): Promise<Outcome> => drive.user.run(['mount', '--foreground', 'test', drive.mountpoint], { env });
    const refusal = { kind: 'status', endpoint: 'token', status: 401, text: 'invalid_client', count: 1_000 } as const;
    drive.emulator.setFaults([refusal]);
    // On a terminal the error is enough.
    await expect(place.mount()).rejects.toThrow('invalid_client');
    expect(desktop.shown).toEqual([]);
    for (let round = 0; round < 2; round += 1) expect(await start()).toMatchObject({ code: 1 });
    expect(desktop.shown.map(({ title }) => title)).toEqual(['Syncplicity refuses the sign-in']);
    drive.emulator.setFaults([]);
    await place.mount();
    await drive.unmount();
    drive.emulator.setFaults([refusal]);
    expect(await start()).toMatchObject({ code: 1 });
    await desktop.notified(2);
  });

  it('with notifications=off the log has the line, and the desktop nothing', async ({ expect, onTestFinished }) => {
    const place = new Place(onTestFinished);
    const { drive, top } = place;
    await drive.serve({ emulator: { quotaBytes: 10 } });
    const desktop = await place.session();
    await place.mount(['-o', 'notifications=off']);
    await writeFile(join(top, 'one'), 'more than there is room for');
    await expect
      .poll(() => place.logged(), { timeout: 10_000 })
      .toContainEqual(expect.stringMatching(/^No room at Syncplicity: "one" is not stored: /));
    await drive.succeed(['unmount', drive.mountpoint, '--no-wait']);
    expect(desktop.shown).toEqual([]);
  });
});
