// Others, who change a shared tree at the service. Notes in the ledger what they made, gave up and touched.
import type { FolderId, RemoteFile } from '../../../src/remote-drive.ts';
import type { Ledger } from './ledger.ts';
import type { Held, SharedDrive } from './shared-drive.ts';
import { pick, spelledOtherwise, type ThereStep } from './shared-steps.ts';

/** What others leave alone: what is written to a name that lasts for a moment goes with that. */
const TEMPORARY_NAME = /^\.syncplicityfs-/;

export interface OthersOptions {
  readonly drive: SharedDrive;
  readonly ledger: Ledger;
  readonly newText: (by: string) => string;
  /** Told of folders that get another place. */
  readonly onMoved: (folder: FolderId) => void;
  readonly log: (line: string) => void;
}

export class Others {
  readonly #options: OthersOptions;

  constructor(options: OthersOptions) {
    this.#options = options;
  }

  take(step: ThereStep): void {
    const { drive, ledger, log } = this.#options;
    const held = drive.held();
    const roots = drive.syncpointList.map(({ name, rootFolderId }) => ({ path: name, id: rootFolderId }));
    const folders = [
      ...roots,
      ...held.flatMap(({ path, entry }) => (entry.kind === 'folder' ? [{ path, id: entry.id }] : [])),
    ];
    const into = 'into' in step ? pick(folders, step.into) : undefined;
    const wanted = (one: Held): boolean => {
      if (!('pick' in step) || TEMPORARY_NAME.test(one.entry.name)) return false;
      if (['rename', 'move', 'recase', 'respell'].includes(step.there)) return true;
      return (one.entry.kind === 'folder') === (step.there === 'removeAll');
    };
    const one = 'pick' in step ? pick(held.filter(wanted), step.pick) : undefined;
    switch (step.there) {
      case 'add':
      case 'mkdir':
        if (into === undefined || drive.isTaken(into.id, step.name)) return;
        log(`there: ${step.there} ${into.path}/${step.name}`);
        if (step.there === 'mkdir') drive.addFolder(into.id, step.name);
        else this.#store((text) => drive.addFile(into.id, step.name, text));
        break;
      case 'write':
        if (one === undefined) return;
        log(`there: write ${one.path}`);
        ledger.gaveUp(this.#textHeld(one), 'there');
        this.#store((text) => drive.write(one.parent, one.entry.name, text));
        break;
      case 'remove':
      case 'removeAll':
        if (one === undefined) return;
        log(`there: remove ${one.path}`);
        this.#gaveUpThere(one);
        drive.removeAll(one);
        break;
      case 'replace':
        if (one === undefined) return;
        log(`there: a folder in place of ${one.path}`);
        this.#gaveUpThere(one);
        drive.removeAll(one);
        drive.addFolder(one.parent, one.entry.name);
        break;
      case 'rename':
        if (one !== undefined) this.#rename(one, step.name);
        break;
      case 'recase':
      case 'respell':
        if (one !== undefined) this.#rename(one, spelledOtherwise(one.entry.name, step.there));
        break;
      case 'move':
        if (one === undefined || into === undefined || into.id === one.parent || drive.isTaken(into.id, one.entry.name))
          return;
        if (one.path.slice(0, 1) !== into.path.slice(0, 1)) return;
        if (one.entry.kind === 'folder' && drive.isWithin(one.entry.id, into.id)) return;
        log(`there: move ${one.path} to ${into.path}`);
        this.#touchedThere(one);
        drive.moveAll(one, into.id, one.entry.name);
        break;
    }
    drive.changed('there');
  }

  #rename(one: Held, name: string): void {
    const { drive, log } = this.#options;
    if (drive.isTaken(one.parent, name, one.entry) || drive.named(name) === one.entry.name) return;
    log(`there: rename ${one.path} ${name}`);
    this.#touchedThere(one);
    drive.moveAll(one, one.parent, name);
  }

  #store(work: (text: string) => RemoteFile): void {
    const { drive, ledger, log, newText } = this.#options;
    const text = newText('there');
    ledger.made(text, 'there');
    log(`  ${text}`);
    // What has the id of something known here may be taken for what others did to that, and go where it is wanted.
    if (drive.hasIdAgain(work(text))) ledger.touched(text, 'here');
  }

  #textHeld({ entry }: Held): string {
    return entry.kind === 'file' ? this.#options.drive.text(entry.versionId) : '';
  }

  #touchedThere(one: Held): void {
    if (one.entry.kind === 'folder') this.#options.onMoved(one.entry.id);
    for (const held of this.#at(one)) this.#options.ledger.touched(this.#textHeld(held), 'there');
  }

  #gaveUpThere(one: Held): void {
    for (const held of this.#at(one)) this.#options.ledger.gaveUp(this.#textHeld(held), 'there');
  }

  #at({ path }: Held): Held[] {
    return this.#options.drive.held().filter((held) => held.path === path || held.path.startsWith(`${path}/`));
  }
}
