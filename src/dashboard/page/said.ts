// What the page says aloud: results of what the user did, and changes that matter. Each is to be seen and to be heard, and goes by itself.
import { byId, element, visible } from './element.ts';

const SHOWN_MS = 6_000;
/** As people read, with time to find it. */
const SHOWN_MS_A_CHARACTER = 80;
/** More at once nobody reads. */
const LINES_MAX = 3;

export class Said {
  readonly #element = byId('said', HTMLElement);

  say(text: string): void {
    const line = element('p', {}, visible(text));
    this.#element.append(line);
    while (this.#element.children.length > LINES_MAX) this.#element.firstElementChild?.remove();
    setTimeout(() => line.remove(), Math.max(SHOWN_MS, text.length * SHOWN_MS_A_CHARACTER));
  }
}
