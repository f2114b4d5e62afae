// What the page says aloud: results of what the user did, and changes that matter. One line at a time, to be seen and to be heard.
import { byId, setText, visible } from './element.ts';

const SHOWN_MS = 6_000;

export class Said {
  readonly #element = byId('said', HTMLElement);
  #timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string): void {
    clearTimeout(this.#timer);
    setText(this.#element, visible(text));
    this.#element.classList.add('shown');
    this.#timer = setTimeout(() => this.#element.classList.remove('shown'), SHOWN_MS);
  }
}
