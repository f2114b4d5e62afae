// What programs have open, with what each file is to hold: descriptors of one node share its content, whatever becomes of its name.
// Promises to tell where a descriptor shows anything else. Knows no names and no service.
import type { NodeId } from '../../../src/fs-ops/operations.ts';
import type { StagedContent, TreeFile } from '../../../src/cache/tree.ts';
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC, type Program } from '../../fs-ops/support/program.ts';
import type { HeldStep } from './shared-steps.ts';

export type Opening = Extract<HeldStep, { open: unknown }>['open'];
export type Doing = Extract<HeldStep, { does: unknown }>['does'] | 'rewrite';

const READ_BYTES = 1 << 16;

interface Content {
  text: string;
  dirty: boolean;
  descriptors: number;
}

interface Held {
  readonly path: string;
  readonly descriptor: number;
  readonly content: Content;
  readonly node: NodeId;
  readonly writes: boolean;
}

/** A descriptor shows what was neither there nor written. */
export class OtherBytes extends Error {}

export class HeldOpen {
  readonly #program: Program;
  readonly #contents = new Map<NodeId, Content>();
  #held: Held[] = [];

  constructor(program: Program) {
    this.#program = program;
  }

  get all(): readonly Held[] {
    return this.#held;
  }

  /** What a commit of that length makes of a file; it is committed from here on. Undefined where no program has it open. */
  committed({ inode }: TreeFile, { lengthBytes }: StagedContent): string | undefined {
    const fitting = [...this.#contents].filter(([, { dirty, text }]) => dirty && text.length === lengthBytes);
    // A node has another number than its file only where that was replaced while it was open.
    const [, content] = fitting.find(([node]) => node === inode) ?? fitting[0] ?? [];
    if (content === undefined) return undefined;
    content.dirty = false;
    return content.text;
  }

  async open(path: string, how: Opening): Promise<Held> {
    const program = this.#program;
    const writes = how !== 'to read';
    const flags = (writes ? O_RDWR : O_RDONLY) | (how === 'new' ? O_CREAT : 0) | (how === 'emptied' ? O_TRUNC : 0);
    const descriptor = await program.open(path, flags);
    const node = program.node(descriptor);
    const known = this.#contents.get(node);
    const content = known ?? { text: '', dirty: false, descriptors: 0 };
    if (how === 'emptied') {
      content.dirty ||= content.text !== '' || known === undefined;
      content.text = '';
    } else if (known === undefined) {
      try {
        content.text = (await program.pread(descriptor, 0, READ_BYTES)).toString();
      } catch (error) {
        await program.close(descriptor);
        throw error;
      }
    }
    content.descriptors += 1;
    this.#contents.set(node, content);
    const held = { path, descriptor, content, node, writes };
    this.#held.push(held);
    return held;
  }

  async does(held: Held, what: Doing, token: string): Promise<void> {
    const { content, descriptor } = held;
    const program = this.#program;
    switch (what) {
      case 'append':
        return this.#write(held, content.text.length, token);
      case 'start':
        return this.#write(held, 0, token);
      case 'cut':
      case 'rewrite': {
        const lengthBytes = what === 'cut' ? content.text.length >> 1 : 0;
        await program.ftruncate(descriptor, lengthBytes);
        content.text = content.text.slice(0, lengthBytes);
        return this.#write(held, lengthBytes, token);
      }
      case 'read': {
        const found = (await program.pread(descriptor, 0, READ_BYTES)).toString();
        if (found !== content.text)
          throw new OtherBytes(`${held.path}, as it was opened, shows "${found}" instead of "${content.text}"`);
        return;
      }
      case 'sync':
        return program.fsync(descriptor);
      case 'close':
        return this.close(held);
    }
  }

  /** Rejects as close(2) does; it is closed all the same. */
  async close(held: Held): Promise<void> {
    this.#held = this.#held.filter((one) => one !== held);
    try {
      await this.#program.close(held.descriptor);
    } finally {
      held.content.descriptors -= 1;
      if (held.content.descriptors === 0) this.#contents.delete(held.node);
    }
  }

  async #write({ descriptor, content }: Held, offsetBytes: number, token: string): Promise<void> {
    const { text } = content;
    content.text = text.slice(0, offsetBytes) + token + text.slice(offsetBytes + token.length);
    content.dirty = true;
    await this.#program.pwrite(descriptor, offsetBytes, token);
  }
}
