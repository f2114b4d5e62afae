// Asks before content is given up: names the file, says what is lost, offers a copy. Promises: the safe answer has the focus; nothing is
// discarded before the user says so.
import { byId, holdsFocus, setBusy, setText, showPath, visible } from './element.ts';

/** What is to be discarded. */
export interface Discarding {
  readonly path: string;
  /** What the change is, or that it was never finished. */
  readonly what: 'store' | 'make-folder' | 'rename' | 'remove' | 'unfinished';
  /** Others that lie below it. */
  readonly below: number;
  /** Rejects with a line for the user. */
  discard(): Promise<void>;
  /** Resolves with where the copy is. */
  save(): Promise<string>;
  /** Gets the focus when what was pressed has gone meanwhile. */
  fallback(): HTMLElement;
}

const LOST: Readonly<Record<Discarding['what'], string>> = {
  store:
    'What was written here is at no other place and is lost for good. Where Syncplicity has an earlier version, the drive shows that again.',
  unfinished: 'What was written of this file before its program was cut off is at no other place and is lost for good.',
  'make-folder': 'The folder goes away here, with all content in it that is not at Syncplicity: that is lost for good.',
  rename: 'It goes back to the name and place that Syncplicity has.',
  remove: 'It is not removed at Syncplicity, and the drive shows it again.',
};

export class DiscardDialog {
  readonly #dialog = byId('discard', HTMLDialogElement);
  readonly #path = byId('discard-path', HTMLElement);
  readonly #text = byId('discard-text', HTMLElement);
  readonly #problem = byId('discard-problem', HTMLElement);
  readonly #save = byId('discard-save', HTMLButtonElement);
  readonly #confirm = byId('discard-confirm', HTMLButtonElement);
  #asked: Discarding | undefined;

  constructor() {
    byId('discard-cancel', HTMLButtonElement).addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => {
      if (!holdsFocus(document.body)) this.#asked?.fallback().focus();
    });
    this.#confirm.addEventListener('click', () => void this.#run(this.#confirm, (asked) => this.#discard(asked)));
    this.#save.addEventListener('click', () => void this.#run(this.#save, (asked) => this.#saveCopy(asked)));
  }

  ask(asked: Discarding): void {
    this.#asked = asked;
    showPath(this.#path, asked.path);
    const more = asked.below === 0 ? '' : ` So are ${asked.below.toLocaleString('en')} other changes below it.`;
    setText(this.#text, LOST[asked.what] + more);
    this.#save.hidden = asked.what !== 'store' && asked.what !== 'unfinished';
    this.#problem.hidden = true;
    this.#dialog.showModal();
  }

  async #discard(asked: Discarding): Promise<void> {
    await asked.discard();
    this.#dialog.close();
  }

  async #saveCopy(asked: Discarding): Promise<void> {
    const file = await asked.save();
    this.#tell(`A copy is in ${file}`, 'done');
  }

  async #run(pressed: HTMLButtonElement, work: (asked: Discarding) => Promise<void>): Promise<void> {
    const asked = this.#asked;
    if (asked === undefined || pressed.getAttribute('aria-disabled') === 'true') return;
    setBusy(pressed, true);
    this.#problem.hidden = true;
    try {
      await work(asked);
    } catch (error) {
      this.#tell(error instanceof Error ? error.message : String(error), 'failed');
    } finally {
      setBusy(pressed, false);
    }
  }

  #tell(text: string, outcome: 'done' | 'failed'): void {
    this.#problem.dataset['outcome'] = outcome;
    setText(this.#problem, visible(text));
    this.#problem.hidden = false;
  }
}
