// One mount on the page: its head, what needs the user, what is on its way, plots and figures. Promises: follows each update in place.
import { countOf, formatDuration, formatSize } from '../../base/quantities.ts';
import type { Conflict, PendingChange, PoolMember, UnfinishedFile, WaitingRequest } from '../../control/status.ts';
import type { Action, ActionOutcome, MountView, Sample, ShownFailure, ShownStatus } from '../view.ts';
import type { Discarding } from './discard-dialog.ts';
import { button, element, holdsFocus, setAttribute, setBusy, setText, showPath, visible } from './element.ts';
import { Facts } from './facts.ts';
import { Plots } from './plots.ts';
import { type Column, Table, textColumn } from './tables.ts';
import { Transfers } from './transfers.ts';

/** What a section needs of the page. */
export interface SectionTools {
  act(action: Action): Promise<ActionOutcome>;
  say(text: string): void;
  askDiscard(asked: Discarding): void;
}

const CHANGES: Readonly<Record<PendingChange['change'], string>> = {
  store: 'Store',
  'make-folder': 'Make folder',
  rename: 'Rename',
  remove: 'Remove',
};

export class MountSection {
  readonly element: HTMLElement;
  readonly #tools: SectionTools;
  readonly #mountpoint: string;
  readonly #heading: HTMLElement;
  readonly #state = element('span', { class: 'state' });
  readonly #about = element('p', { class: 'about' });
  readonly #pause: HTMLButtonElement;
  readonly #problem = element('p', { class: 'problem', hidden: true });
  readonly #body = element('div', { class: 'body' });
  readonly #retryAll: HTMLButtonElement;
  readonly #failed: Table<ShownFailure>;
  readonly #unfinished: Table<UnfinishedFile>;
  readonly #conflicts: Table<Conflict>;
  readonly #waiting: Table<WaitingRequest>;
  readonly #members: Table<PoolMember>;
  readonly #transfers = new Transfers(CHANGES);
  readonly #plots = new Plots();
  readonly #facts = new Facts();
  #isPaused = false;

  constructor(mountpoint: string, history: readonly Sample[], tools: SectionTools) {
    this.#mountpoint = mountpoint;
    this.#tools = tools;
    this.#plots.begin(history);
    const id = `mount-${crypto.randomUUID()}`;
    this.#heading = element('h2', { id, tabindex: '-1' }, element('bdi', {}, ...breakable(visible(mountpoint))));
    this.#pause = button('Pause', { class: 'button pause' }, () => void this.#togglePause());
    const titles = element('div', { class: 'titles' }, element('div', { class: 'title' }, this.#heading, this.#state));
    titles.append(this.#about);
    const head = element('header', { class: 'mount-head' }, titles, this.#pause);

    const fallback = (): HTMLElement => this.#heading;
    this.#retryAll = button('Retry all', { class: 'button quiet' }, () => void this.#retry('/', this.#retryAll));
    this.#failed = new Table<ShownFailure>({
      title: 'Refused, waiting for you',
      key: ({ path, change }) => `${change} ${path}`,
      action: this.#retryAll,
      fallback,
      columns: [
        pathColumn(({ path }) => path),
        textColumn('Change', ({ change }) => CHANGES[change], 'short'),
        textColumn('Cause', ({ error }) => visible(error)),
        textColumn('Since', ({ since }) => ago(since), 'short'),
        this.#decisions('Retry', ({ path, change, below }) => ({ path, what: change, below })),
      ],
    });
    this.#failed.element.classList.add('refused');
    this.#unfinished = new Table<UnfinishedFile>({
      title: 'Unfinished when the drive was cut off',
      key: ({ path }) => path,
      fallback,
      columns: [
        pathColumn(({ path }) => path),
        textColumn('Size', ({ bytes }) => formatSize(bytes), 'number'),
        textColumn('Since', ({ since }) => ago(since), 'short'),
        this.#decisions('Restore', ({ path }) => ({ path, what: 'unfinished', below: 0 })),
      ],
    });
    this.#conflicts = new Table<Conflict>({
      title: 'Changed on both sides, both kept',
      key: ({ keptAs }) => keptAs,
      fallback,
      columns: [
        pathColumn(({ path }) => path),
        textColumn('Yours is', ({ keptAs }) => visible(keptAs.slice(keptAs.lastIndexOf('/') + 1))),
        textColumn('Since', ({ since }) => ago(since), 'short'),
      ],
    });
    this.#waiting = new Table<WaitingRequest>({
      title: 'Programs that wait, or got an error',
      key: ({ operation, path, since }) => `${operation} ${path} ${since}`,
      fallback,
      columns: [
        pathColumn(({ path }) => path),
        textColumn('For', ({ operation }) => operation),
        textColumn('Why', ({ reason }) => visible(reason)),
        textColumn('Since', ({ since }) => ago(since), 'short'),
      ],
    });
    this.#members = new Table<PoolMember>({
      title: 'Connections of the pool',
      key: ({ name }) => name,
      fallback,
      columns: [
        textColumn('Connection', ({ name }) => visible(name)),
        textColumn('Calls', ({ calls }) => calls.toLocaleString('en'), 'number'),
        textColumn('Throttled', ({ throttled }) => throttled.toLocaleString('en'), 'number'),
        textColumn('Left this hour', ({ budget }) => allowance(budget), 'number'),
        textColumn('State', memberState),
      ],
    });
    this.#body.append(
      this.#failed.element,
      this.#unfinished.element,
      this.#transfers.element,
      this.#waiting.element,
      this.#conflicts.element,
      this.#plots.element,
      this.#members.element,
      this.#facts.element,
    );
    this.element = element('section', { class: 'mount', 'aria-labelledby': id }, head, this.#problem, this.#body);
  }

  show(view: MountView): void {
    const hadFocus = this.element.contains(document.activeElement);
    this.#showInPlace(view);
    // What is hidden now takes the focus with it.
    if (hadFocus && !holdsFocus(this.element)) this.#heading.focus();
  }

  #showInPlace(view: MountView): void {
    const status = view.state === 'serving' ? view.status : undefined;
    const [state, label] = stateOf(view);
    setAttribute(this.element, 'data-state', state);
    setText(this.#state, label);
    // Nothing goes out of a mount that is read-only.
    this.#pause.hidden = status === undefined || (status.readOnly && !status.paused);
    this.#body.hidden = status === undefined;
    const problem = problemOf(view);
    this.#problem.hidden = problem === '';
    setText(this.#problem, problem);
    setText(this.#about, status === undefined ? '' : aboutText(status));
    if (view.state === 'serving') this.#fill(view.status, view.sample);
  }

  stop(): void {
    this.#plots.stop();
  }

  #fill(status: ShownStatus, sample: Sample): void {
    this.#isPaused = status.paused;
    setText(this.#pause, status.paused ? 'Resume' : 'Pause');
    setAttribute(
      this.#pause,
      'aria-label',
      `${status.paused ? 'Resume' : 'Pause'} transfers of ${visible(this.#mountpoint)}`,
    );
    this.#failed.show(status.failed.items, status.failed.count);
    // It would make files of what is unfinished, too: about that the user decides one by one.
    this.#retryAll.hidden = status.failed.count < 2 || status.unfinished.count > 0;
    this.#unfinished.show(status.unfinished.items, status.unfinished.count);
    this.#conflicts.show(status.conflicts.items, status.conflicts.count);
    this.#waiting.show(status.waiting.items, status.waiting.count);
    this.#members.show(status.members, status.members.length);
    this.#transfers.show(status);
    this.#plots.show(status, sample);
    this.#facts.show(status);
  }

  #decisions<T extends { readonly path: string }>(
    retryLabel: string,
    asked: (value: T) => Pick<Discarding, 'path' | 'what' | 'below'>,
  ): Column<T> {
    return {
      title: 'Decide',
      kind: 'actions',
      fill: (cell, value) => {
        let current = value;
        const { path } = value;
        const named = (label: string): string => `${label} ${visible(path)}`;
        const retry = button(retryLabel, { 'aria-label': named(retryLabel) }, () => void this.#retry(path, retry));
        const discard = button('Discard…', { class: 'button quiet', 'aria-label': named('Discard') }, () =>
          this.#tools.askDiscard({
            ...asked(current),
            discard: () => this.#discard(path),
            save: () => this.#save(path),
            fallback: () => this.#heading,
          }),
        );
        cell.append(retry, discard);
        return (next) => (current = next);
      },
    };
  }

  async #retry(path: string, pressed: HTMLButtonElement): Promise<void> {
    await this.#busy(pressed, async () => {
      const { changes = 0 } = await this.#tools.act({ mountpoint: this.#mountpoint, method: 'retry', path });
      this.#tools.say(`${countOf(changes, 'change')} will be tried again`);
    });
  }

  async #discard(path: string): Promise<void> {
    const { changes = 0 } = await this.#tools.act({ mountpoint: this.#mountpoint, method: 'discard', path });
    this.#tools.say(`${countOf(changes, 'change')} discarded`);
  }

  async #save(path: string): Promise<string> {
    const { savedAs } = await this.#tools.act({ mountpoint: this.#mountpoint, method: 'save', path });
    return visible(savedAs ?? '');
  }

  async #togglePause(): Promise<void> {
    await this.#busy(this.#pause, async () => {
      const method = this.#isPaused ? 'resume' : 'pause';
      await this.#tools.act({ mountpoint: this.#mountpoint, method });
      this.#tools.say(method === 'pause' ? 'Paused: nothing goes out any more' : 'Transfers go on');
    });
  }

  /** Failures are said; whoever pressed the button reads them there. */
  async #busy(pressed: HTMLButtonElement, work: () => Promise<void>): Promise<void> {
    setBusy(pressed, true);
    try {
      await work();
    } catch (error) {
      this.#tools.say(error instanceof Error ? error.message : String(error));
    } finally {
      setBusy(pressed, false);
    }
  }
}

/** May be broken before each name rather than within one. */
function breakable(path: string): (Node | string)[] {
  return path.split(/(?<=\/)/).flatMap((name) => [element('wbr'), name]);
}

function pathColumn<T>(path: (value: T) => string): Column<T> {
  return { title: 'Path', kind: 'path', fill: (cell) => (value) => showPath(cell, path(value)) };
}

function stateOf(view: MountView): [state: string, label: string] {
  switch (view.state) {
    case 'silent':
      return ['silent', 'Does not answer'];
    case 'dead':
      return ['dead', 'Dead'];
    case 'failing':
      return ['silent', 'Failing'];
    case 'serving': {
      const { online, paused } = view.status;
      if (!online) return ['offline', paused ? 'Offline, paused' : 'Offline'];
      return paused ? ['paused', 'Paused'] : ['online', 'Online'];
    }
  }
}

function problemOf(view: MountView): string {
  switch (view.state) {
    case 'silent':
      // 0: not known, and no process to be named beside kill(1).
      return view.pid === 0
        ? 'Its process does not answer, and has not said which one it is.'
        : `Its process (${view.pid}) does not answer. It may be busy; if it stays so, end it with kill -9 and unmount the drive.`;
    case 'dead':
      return 'Its process is gone. "syncplicityfs unmount" clears it away, mounting again replaces it; what was not sent is kept.';
    case 'failing':
      return visible(view.problem);
    case 'serving':
      if (view.status.online) return '';
      return view.status.readOnly
        ? 'The service does not answer. What is cached stays readable.'
        : 'The service does not answer. What is cached stays readable, and what is written is kept until it does.';
  }
}

function aboutText({ connection, root, since, transport, readOnly }: ShownStatus): string {
  return [
    visible(connection),
    ...(root === '/' ? [] : [`folder ${visible(root)}`]),
    ...(readOnly ? ['read-only'] : []),
    `mounted for ${formatDuration(Date.now() - Date.parse(since))}`,
    `${transport} transport`,
  ].join(' · ');
}

function ago(since: string): string {
  return formatDuration(Date.now() - Date.parse(since));
}

function allowance({ perHour, leftThisHour }: PoolMember['budget']): string {
  return perHour === 0 ? 'no limit' : `${leftThisHour.toLocaleString('en')} of ${perHour.toLocaleString('en')}`;
}

function memberState({ out }: PoolMember): string {
  return out === null ? 'In use' : `Out${out.since === null ? '' : ` for ${ago(out.since)}`}: ${visible(out.reason)}`;
}
