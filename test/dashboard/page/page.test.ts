// The status page in Chromium, over real mounts: what it shows, what can be done by keyboard alone, and what a hostile name does to it.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { controlHandlers } from '../../../src/control/methods.ts';
import { serveControl } from '../../../src/control/server.ts';
import { FakeMount } from '../../fakes/fake-mount.ts';
import { Drive, fuseExists } from '../../mount/drive.ts';
import { complaintsOf, faintTexts, mayBrowse, startChromium } from './chromium.ts';

/** Would be markup, if anybody took it for markup; a mountpoint may be called so. */
const HOSTILE = '<img src=x onerror=document.title=1>';

describe.skipIf(!fuseExists || !mayBrowse)('the status page', () => {
  const drive = new Drive();
  const hostileMountpoint = `/mnt/${HOSTILE}`;
  const runtimeDirectory = drive.user.directory('.local', 'state', 'syncplicityfs', 'run');
  const top = join(drive.mountpoint, 'Project');
  let browser: Browser;
  let page: Page;
  let complaints: string[];
  const stops: (() => unknown)[] = [];
  let dashboard: { readonly child: ChildProcess; readonly door: string };

  beforeAll(async () => {
    drive.store.addSyncpoint('Project');
    // Side by side; what was started is stopped, also where something else could not be.
    const starts = await Promise.allSettled([
      // At a port that another run can have later.
      freePort()
        .then((port) => startDashboard('--port', port))
        .then((started) => (dashboard = started)),
      startChromium(drive.user.home).then((started) => {
        browser = started;
        stops.push(() => started.close());
      }),
      drive.serve().then(() => drive.mount({ mount: ['--settle', '0s'] })),
    ]);
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    page = await browser.newPage();
    complaints = complaintsOf(page);
    await page.setViewport({ width: 1180, height: 900 });
    await page.goto(dashboard.door);
    await page.waitForSelector('.mount');
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
    await drive.stop();
  });

  async function freePort(): Promise<string> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return String(port);
  }

  async function startDashboard(...args: string[]): Promise<typeof dashboard> {
    const child = drive.user.start(['dashboard', '--no-open', ...args]);
    stops.push(() => child.kill('SIGTERM'));
    for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      if (line.startsWith('  ')) return { child, door: line.trim() };
    }
    throw new Error('the dashboard showed no address');
  }

  /** The section of a mount. */
  const section = (mountpoint: string): string => `section[aria-labelledby="${idOf.get(mountpoint) ?? 'none'}"]`;
  const idOf = new Map<string, string>();
  async function waitForMount(mountpoint: string): Promise<void> {
    const found = await page.waitForFunction(
      (name) => [...document.querySelectorAll('.mount h2')].find((heading) => heading.textContent === name)?.id,
      {},
      mountpoint,
    );
    idOf.set(mountpoint, String(await found.jsonValue()));
  }

  async function waitForText(selector: string, text: string | RegExp): Promise<void> {
    const source = typeof text === 'string' ? text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : text.source;
    const matches = (chosen: string, pattern: string): boolean =>
      [...document.querySelectorAll(chosen)].some((element) => new RegExp(pattern).test(element.textContent));
    await page.waitForFunction(matches, { timeout: 15_000 }, selector, source);
  }

  async function waitForNone(selector: string): Promise<void> {
    await page.waitForFunction((chosen) => document.querySelector(chosen) === null, { timeout: 15_000 }, selector);
  }

  const focused = (): Promise<string> =>
    page.evaluate(
      () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
    );

  /** Goes on with Tab until something of this name has the focus. */
  async function tabTo(name: string): Promise<void> {
    const passed: string[] = [];
    for (let presses = 0; presses < 40; presses += 1) {
      await page.keyboard.press('Tab');
      passed.push(await focused());
      if (passed.at(-1) === name) return;
    }
    throw new Error(`${name} is not reached by Tab; what is: ${passed.join(', ')}`);
  }

  /** Has the service refuse the next file; what is stored as `name` then waits for the user. */
  async function refused(name: string, shown = name): Promise<void> {
    drive.emulator.setFaults([{ kind: 'status', endpoint: 'saveFile', status: 402, text: 'Storage Quota Exceeded' }]);
    await writeFile(join(top, name), `only here: ${name}\n`);
    await waitForText('.refused td', shown);
  }

  const stored = async (name: string): Promise<boolean> =>
    (await drive.emulator.snapshot()).syncpoints[0]?.entries.some(({ path }) => path.endsWith(name)) ?? false;

  it('shows the mount, and keeps its token to itself', async () => {
    await waitForMount(drive.mountpoint);
    await waitForText('.state', 'Online');
    await waitForText('.about', /^test · mounted for \d+ s · kernel transport/);
    await waitForText('#link', 'Live');
    const url = new URL(page.url());
    expect([url.hash, url.search]).toEqual(['', '']);
    const door = readFileSync(new URL(dashboard.door), 'utf8');
    const token = /#([\w-]{43})/.exec(door)?.[1] ?? '';
    expect(token).not.toBe('');
    expect(await page.content()).not.toContain(token);
    // A page that is loaded again is let in again.
    await page.reload();
    await waitForMount(drive.mountpoint);
    expect(await page.$$eval('.plot canvas', (all) => all.length)).toBe(3);
  });

  it('shows why an upload was refused; Retry, by keyboard alone, stores it', async () => {
    await refused('budget.xlsx');
    await waitForText('.refused td', 'Storage Quota Exceeded');
    await waitForText('#summary', '1 refused');
    expect(await page.title()).toBe('(1) syncplicityfs');
    await page.evaluate(() => document.body.focus());
    await tabTo('Retry /Project/budget.xlsx');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
    expect(outline).toBe('solid');
    await page.keyboard.press('Enter');
    await waitForNone('.refused tbody tr');
    await expect.poll(() => stored('budget.xlsx')).toBe(true);
    // The button has gone; the focus is where it was, not at the top of the page.
    expect(await focused()).toBe(drive.mountpoint);
    await waitForText('#said', 'will be tried again');
  });

  it('asks before it discards, naming the file and what is lost, and can save a copy first', async () => {
    await refused('draft.odt');
    await page.focus('[aria-label="Discard /Project/draft.odt"]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open]');
    const text = await page.$eval('dialog', (dialog) => dialog.textContent);
    expect(text).toContain('/Project/draft.odt');
    expect(text).toContain('lost for good');
    expect(await focused()).toBe('Keep it');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog:not([open])');
    expect((await drive.status()).failed).toHaveLength(1);
    // Back where it was opened.
    expect(await focused()).toBe('Discard /Project/draft.odt');

    await page.keyboard.press('Enter');
    await tabTo('Save a copy');
    await page.keyboard.press('Enter');
    await waitForText('#discard-problem', 'A copy is in');
    const copies = join(drive.user.home, 'Saved from Syncplicity');
    expect(readdirSync(copies)).toEqual(['draft.odt']);
    expect(await readFile(join(copies, 'draft.odt'), 'utf8')).toBe('only here: draft.odt\n');
    await tabTo('Discard');
    await page.keyboard.press('Enter');
    await waitForNone('.refused tbody tr');
    expect((await drive.status()).failed).toEqual([]);
    expect(existsSync(join(top, 'draft.odt'))).toBe(false);
  });

  it('pauses and goes on', async () => {
    const button = `${section(drive.mountpoint)} .pause`;
    await page.click(button);
    await waitForText('.state', /^Paused$/);
    expect((await drive.status()).paused).toBe(true);
    await writeFile(join(top, 'waits.txt'), 'later');
    await waitForText('.pending td', 'waits.txt');
    await waitForText('.transfer-summary', /1 change · .* · paused/);
    await page.click(button);
    await waitForText('.state', /^Online$/);
    await waitForText('.transfer-summary', 'All stored');
    expect(await stored('waits.txt')).toBe(true);
  });

  it('takes hostile names for text', async () => {
    const handlers = controlHandlers(new FakeMount(hostileMountpoint));
    const server = await serveControl({
      runtimeDirectories: [runtimeDirectory],
      mountpoint: hostileMountpoint,
      handlers,
    });
    try {
      await waitForMount(hostileMountpoint);
      // Syncplicity has no such name; the reason for that names it.
      await expect(writeFile(join(top, HOSTILE), 'x')).rejects.toThrow('EINVAL');
      await waitForText('.block td', HOSTILE);
      // Turns the direction of text around: a program that looks like a picture.
      await refused('holiday\u202egpj.exe', 'holiday\ufffdgpj.exe');
      await page.click('.refused button.quiet[aria-label^="Discard"]');
      await waitForText('dialog .name', 'holiday\ufffdgpj.exe');
      await page.keyboard.press('Escape');
      expect(await page.$$eval('main img', (all) => all.length)).toBe(0);
      expect(await page.title()).toBe('(1) syncplicityfs');
    } finally {
      await server.stop();
    }
    // What is unmounted disappears.
    await page.waitForFunction(
      (name) => ![...document.querySelectorAll('h2')].some((heading) => heading.textContent === name),
      {},
      hostileMountpoint,
    );
  });

  it('is readable and operable: names, roles, contrast, and 360 pixels of width', async () => {
    const unnamed = await page.evaluate(() =>
      [...document.querySelectorAll('button, table, progress, [role=img], h1, h2, h3, th')]
        .filter((one) => one.checkVisibility() && !one.getAttribute('aria-label') && !one.textContent.trim())
        .map((one) => one.outerHTML),
    );
    expect(unnamed).toEqual([]);
    expect(await page.$eval('html', ({ lang }) => lang)).toBe('en');
    expect(await page.$$eval('h1', (all) => all.length)).toBe(1);
    for (const value of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      expect(await faintTexts(page)).toEqual([]);
    }
    // Loads the page again.
    await page.setViewport({ width: 360, height: 700, isMobile: true, hasTouch: true });
    await waitForMount(drive.mountpoint);
    await waitForText('.refused td', 'holiday');
    const width = (): Promise<number[]> =>
      page.evaluate(() => [document.scrollingElement?.scrollWidth ?? 0, window.innerWidth]);
    expect(await width()).toEqual([360, 360]);
    // A row is a block there, and a row all the same.
    const tree = await page.accessibility.snapshot({ interestingOnly: false });
    const roles = JSON.stringify(tree).match(/"role":"\w+"/g) ?? [];
    for (const role of ['banner', 'main', 'heading', 'table', 'row', 'columnheader', 'cell', 'status'])
      expect(roles).toContain(`"role":"${role}"`);
    await page.setViewport({ width: 1180, height: 900 });
  });

  it('sleeps while nobody looks, and has complained of nothing so far', async () => {
    const other = await browser.newPage();
    await other.bringToFront();
    await expect.poll(() => page.$eval('#link', ({ textContent }) => textContent)).toBe('Asleep');
    await page.bringToFront();
    await waitForText('#link', 'Live');
    await other.close();
    expect(complaints).toEqual([]);
  });

  it('says that the connection is lost, comes back with it, and asks for the key of a new run', async () => {
    const { port } = new URL(page.url());
    // Suspended, as with the machine.
    dashboard.child.kill('SIGSTOP');
    await waitForText('#link', 'Connection lost');
    await waitForText('#notice', 'what is shown is old');
    dashboard.child.kill('SIGCONT');
    await waitForText('#link', 'Live');
    expect(await page.$eval('#notice', (notice) => (notice as HTMLElement).hidden)).toBe(true);

    dashboard.child.kill('SIGTERM');
    const [code] = (await once(dashboard.child, 'exit')) as [number | null];
    expect(code).toBe(0);
    await waitForText('#link', 'Connection lost');
    dashboard = await startDashboard('--port', port);
    await waitForText('#link', 'No access');
    expect(await page.$$eval('.mount', (all) => all.length)).toBe(0);
    await page.goto(dashboard.door);
    await waitForMount(drive.mountpoint);
    await waitForText('#link', 'Live');
  });
});
