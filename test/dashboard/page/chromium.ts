// Chromium for tests of the page, as one page that follows what goes wrong in it. Where there is none, the tests are skipped.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { lacks } from '../../machine.ts';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** Chromium's path; undefined where there is none. */
export const chromiumFile = find();
export const mayBrowse = chromiumFile !== undefined || !lacks('chromium');

function find(): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  return PROGRAMS.flatMap((name) => directories.map((directory) => join(directory, name))).find(isProgram);
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there, or not to be run: the next one may be.
    return false;
  }
}

/** Starts Chromium with a home of its own below `home`. */
export function startChromium(home: string): Promise<Browser> {
  if (chromiumFile === undefined) throw new Error('chromium is not installed');
  return puppeteer.launch({
    executablePath: chromiumFile,
    userDataDir: join(home, 'chromium'),
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      LANG: 'C.UTF-8',
      ...(process.env['TMPDIR'] && { TMPDIR: process.env['TMPDIR'] }),
    },
    // The sandbox is refused to root, and has no place in containers; the page is our own. Their /dev/shm is too small as well.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'],
  });
}

/** What a page complains of, as it happens: errors of scripts, of the console, and of the content security policy. */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) complaints.push(message.text());
  });
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return complaints;
}

/** Texts of the page whose colour is too near to what is behind it: less than 4.5 to 1, the AA of WCAG 2. */
export function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    type Colour = [number, number, number, number];
    const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const parse = (colour: string): Colour => {
      if (canvas === null) throw new Error('no canvas');
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [red = 0, green = 0, blue = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data;
      return [red, green, blue, alpha / 255];
    };
    const over = (top: Colour, below: Colour): Colour => {
      const mix = (index: 0 | 1 | 2): number => top[index] * top[3] + below[index] * (1 - top[3]);
      return [mix(0), mix(1), mix(2), 1];
    };
    const behind = (element: Element | null): Colour =>
      element === null
        ? [255, 255, 255, 1]
        : over(parse(getComputedStyle(element).backgroundColor), behind(element.parentElement));
    const light = ([red, green, blue]: Colour): number => {
      const linear = [red, green, blue].map((value) => {
        const part = value / 255;
        return part <= 0.039_28 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
    };
    const faint: string[] = [];
    for (const element of document.querySelectorAll('body *')) {
      const hasText = [...element.childNodes].some(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim(),
      );
      if (!hasText || !element.checkVisibility({ opacityProperty: true }) || element.closest('.said') !== null)
        continue;
      const back = behind(element);
      const front = over(parse(getComputedStyle(element).color), back);
      const [high, low] = [light(front), light(back)].sort((a, b) => b - a) as [number, number];
      const contrast = (high + 0.05) / (low + 0.05);
      if (contrast < 4.5)
        faint.push(`${contrast.toFixed(2)} ${element.className} "${element.textContent.slice(0, 40)}"`);
    }
    return faint;
  });
}
