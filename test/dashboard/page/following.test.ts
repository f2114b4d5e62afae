// The status page in Chromium as it follows mounts that change faster than real ones do: where the focus stays, what is said aloud, what
// much of everything costs.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { controlHandlers } from '../../../src/control/methods.ts';
import { serveControl } from '../../../src/control/server.ts';
import { socketFiles } from '../../../src/control/socket-directory.ts';
import type { MountStatus } from '../../../src/control/status.ts';
import type { loadAssets as loadSourceAssets } from '../../../src/dashboard/assets.ts';
import { type Dashboard, startDashboard } from '../../../src/dashboard/server.ts';
import { FakeMount, storing } from '../../fakes/fake-mount.ts';
import { serveSilence } from '../../fakes/silent-daemon.ts';
import { temporaryDirectory } from '../../fakes/temporary-directory.ts';
import { complaintsOf, faintTexts, mayBrowse, startChromium } from './chromium.ts';

const INTERVAL_MS = 50;

describe.skipIf(!mayBrowse)('the status page follows', () => {
  const directory = temporaryDirectory();
  const runtimeDirectory = join(directory.path, 'run');
  let browser: Browser;
  let page: Page;
  let dashboard: Dashboard;
  let complaints: string[];
  let fake: FakeMount;
  let stops: (() => Promise<void> | void)[];

  beforeAll(async () => {
    // As built: a browser reads no TypeScript.
    const built = new URL('../../../dist/src/dashboard/assets.js', import.meta.url).href;
    const { loadAssets } = (await import(built)) as { readonly loadAssets: typeof loadSourceAssets };
    dashboard = await startDashboard({
      runtimeDirectories: [runtimeDirectory],
      savesDirectory: join(directory.path, 'saved'),
      deadMounts: () => Promise.resolve([]),
      assets: await loadAssets(),
      host: '127.0.0.1',
      port: 0,
      intervalMs: INTERVAL_MS,
    });
    browser = await startChromium(directory.path);
    page = await browser.newPage();
    complaints = complaintsOf(page);
    await page.setViewport({ width: 1180, height: 900 });
  });
  afterAll(async () => {
    await browser.close();
    await dashboard.stop();
    directory.remove();
  });

  beforeEach(async () => {
    stops = [];
    fake = await mount('/mnt/drive');
    await page.goto('about:blank');
    await page.goto(`${dashboard.url}#${dashboard.token}`);
    await page.waitForSelector('.mount');
  });
  afterEach(async () => {
    for (const stop of stops.reverse()) await stop();
    // What the server refuses, and that it is gone, the browser tells of where a test brings it about.
    expect(complaints.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([]);
  });

  async function mount(mountpoint: string): Promise<FakeMount> {
    const made = new FakeMount(mountpoint);
    const server = await serveControl({
      runtimeDirectories: [runtimeDirectory],
      mountpoint,
      handlers: controlHandlers(made),
    });
    stops.push(() => server.stop());
    return made;
  }

  async function waitForText(selector: string, text: string): Promise<void> {
    await page.waitForFunction(
      (chosen, wanted) => [...document.querySelectorAll(chosen)].some((one) => one.textContent.includes(wanted)),
      { timeout: 10_000 },
      selector,
      text,
    );
  }

  const rows = (count: number): Promise<unknown> =>
    page.waitForFunction((wanted) => document.querySelectorAll('.refused tbody tr').length === wanted, {}, count);
  const focused = (): Promise<string> =>
    page.evaluate(
      () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
    );
  /** Two updates have been shown: the second of them was asked for after what the test did. */
  async function looked(): Promise<void> {
    const before = fake.itemsAsked.length;
    await expect.poll(() => fake.itemsAsked.length, { interval: 10 }).toBeGreaterThan(before + 2);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }

  /** Changes what a mount tells of itself. */
  function tell(changed: Partial<MountStatus>): void {
    const before = fake.status.bind(fake);
    fake.status = async (itemsMax) => ({ ...(await before(itemsMax)), ...changed });
  }

  it('with the focus where it was, when rows change places, and beside it when they go', async () => {
    for (const name of ['a', 'b', 'c']) fake.fail(`/${name}`, 'no');
    await rows(3);
    await page.focus('[aria-label="Discard /c"]');
    fake.failed.reverse();
    await page.waitForFunction(() => document.querySelector('.refused .name')?.textContent === 'c');
    expect(await focused()).toBe('Discard /c');
    fake.failed = fake.failed.filter(({ path }) => path !== '/c');
    await rows(2);
    expect(await focused()).toBe('Retry /b');
  });

  it('with the focus on its heading, when what had it is hidden', async () => {
    for (const name of ['a', 'b']) fake.fail(`/${name}`, 'no');
    await rows(2);
    await page.focus('.refused .block-head button');
    await page.keyboard.press('Enter');
    await rows(0);
    await looked();
    expect(await focused()).toBe('/mnt/drive');
    // Asked about a change that meanwhile another one decided about.
    fake.fail('/c', 'no');
    await rows(1);
    await page.focus('[aria-label="Discard /c"]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open]');
    fake.failed = [];
    await rows(0);
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog:not([open])');
    await expect.poll(focused).toBe('/mnt/drive');
    await page.focus('.pause');
    fake.status = () => Promise.reject(new Error('the journal cannot be read'));
    await waitForText('.state', 'Failing');
    expect(await focused()).toBe('/mnt/drive');
  });

  it('without saying each of many refusals', async () => {
    const heard = page.evaluate(
      () =>
        new Promise<string[]>((resolve) => {
          const texts: string[] = [];
          new MutationObserver((records) => {
            for (const { addedNodes } of records) for (const node of addedNodes) texts.push(node.textContent ?? '');
            if (texts.at(-1)?.includes('offline') === true) resolve(texts);
          }).observe(document.querySelector('#said') as Element, { childList: true });
        }),
    );
    for (let count = 1; count <= 5; count += 1) {
      fake.fail(`/${count}`, 'no');
      await rows(count);
    }
    fake.online = false;
    expect(await heard).toEqual(['/mnt/drive: 1 change refused', '/mnt/drive is offline']);
  });

  it('what is read-only, with nothing about sending', async () => {
    tell({ readOnly: true, online: false });
    await waitForText('.state', 'Offline');
    expect(await page.$eval('.problem', ({ textContent }) => textContent)).not.toContain('written');
    expect(await page.$eval('.pause', (button) => button.checkVisibility())).toBe(false);
  });

  it('names that differ by a space, or turn the text around, as what they are', async () => {
    for (const name of ['two  spaces', 'two spaces', 'holiday\u202egpj.exe']) fake.fail(`/${name}`, `${name}: no`);
    await rows(3);
    const widths = await page.$$eval('.refused .name', (all) => all.map((name) => name.getBoundingClientRect().width));
    expect(widths[0]).toBeGreaterThan(widths[1] as number);
    fake.discard = () => Promise.reject(new Error('holiday\u202egpj.exe is in use'));
    await page.focus('[aria-label="Discard /holiday\ufffdgpj.exe"]');
    await page.keyboard.press('Enter');
    await page.click('#discard-confirm');
    await waitForText('#discard-problem', 'holiday\ufffdgpj.exe is in use');
    expect(await page.content()).not.toContain('\u202e');
  });

  it('10,000 changes without freezing, and a mount that does not answer beside those that do', async () => {
    const hung = '/mnt/hung';
    fake.pending = Array.from({ length: 10_000 }, (_none, index) => storing(`/Project/${index}`));
    const { socket, sidecar } = socketFiles(runtimeDirectory, hung);
    stops.push(() => {
      for (const file of [socket, sidecar]) rmSync(file, { force: true });
    });
    stops.push(await serveSilence(runtimeDirectory, hung));
    writeFileSync(sidecar, JSON.stringify({ mountpoint: hung, pid: 4_711 }));
    await waitForText('.more', 'and 9,900 more');
    expect(await page.$$eval('.pending tbody tr', (all) => all.length)).toBe(100);
    const longTasksMs = await page.evaluate(async () => {
      const lengths: number[] = [];
      const observer = new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) lengths.push(duration);
      });
      observer.observe({ type: 'longtask' });
      await new Promise((resolve) => setTimeout(resolve, 600));
      observer.disconnect();
      return lengths;
    });
    expect(Math.max(0, ...longTasksMs)).toBeLessThan(500);
    await waitForText('.state', 'Does not answer');
    fake.pending = [];
    await waitForText('.transfer-summary', 'All stored');
  });

  it('within 320 pixels, and as readable when what is shown is old', async () => {
    for (let index = 0; index < 3; index += 1)
      fake.fail(`/${'long name '.repeat(30)}/${'x'.repeat(200)}${index}`, 'no');
    tell({ members: [{ name: 'm'.repeat(60), calls: 0, throttled: 0, budget: emptyBudget, out: null }] });
    await rows(3);
    await page.setViewport({ width: 320, height: 640 });
    await looked();
    const overflow = await page.evaluate(() => (document.scrollingElement?.scrollWidth ?? 0) - window.innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await page.setViewport({ width: 1180, height: 900 });
    await dashboard.stop();
    await waitForText('#link', 'Connection lost');
    expect(await page.$eval('.list', (list) => getComputedStyle(list).opacity)).toBe('1');
    for (const value of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
      expect(await faintTexts(page)).toEqual([]);
    }
  });
});

const emptyBudget = { perSecond: 15, perHour: 0, leftThisHour: 0 };
