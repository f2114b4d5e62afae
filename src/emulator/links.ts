// The shared links of the account: in memory, and in a file where one is named, so that they outlive the process.
// Promises: a change is on disk before it is answered; passwords are not kept, only that there is one. Must not know: HTTP, dialects.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../base/atomic-file.ts';

/** A link. Numbers are the documents' own. */
export interface LinkRecord {
  readonly token: string;
  readonly syncpointId: number;
  readonly kind: 'file' | 'folder';
  /** Of the file or folder. */
  readonly objectId: number;
  /** Where it lay when the link was made. */
  readonly virtualPath: string;
  readonly policy: number;
  readonly outlookPolicy: number;
  readonly hasPassword: boolean;
  /** 0: never. */
  readonly expireInDays: number;
  /** E-mail addresses. */
  readonly users: readonly string[];
  /** GUIDs. */
  readonly groups: readonly string[];
  readonly message: string;
  readonly sharedMs: number;
  readonly downloads: number;
}

const DAY_MS = 86_400_000;

export class LinkStore {
  readonly #records: Map<string, LinkRecord>;
  readonly #file: string | undefined;
  #written = Promise.resolve();

  private constructor(records: readonly LinkRecord[], file: string | undefined) {
    this.#records = new Map(records.map((record) => [record.token, record]));
    this.#file = file;
  }

  /** Links that end with the process. */
  static inMemory(records: readonly LinkRecord[] = []): LinkStore {
    return new LinkStore(records, undefined);
  }

  /** Links kept in a file, which is made with the first of them. */
  static async open(file: string): Promise<LinkStore> {
    return new LinkStore(await readRecords(file), file);
  }

  get size(): number {
    return this.#records.size;
  }

  /** In the order in which they were made. */
  all(): Iterable<LinkRecord> {
    return this.#records.values();
  }

  get(token: string): LinkRecord | undefined {
    return this.#records.get(token);
  }

  /** Adds links, or puts them in the place of those of their tokens. */
  async put(records: readonly LinkRecord[]): Promise<void> {
    for (const record of records) this.#records.set(record.token, record);
    await this.#write();
  }

  /** False: there was none. */
  async delete(token: string): Promise<boolean> {
    if (!this.#records.delete(token)) return false;
    await this.#write();
    return true;
  }

  /** One write at a time, each of what there is when its turn comes. */
  #write(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return Promise.resolve();
    const write = (): Promise<void> => replaceFile(file, `${JSON.stringify([...this.#records.values()])}\n`, 0o600);
    this.#written = this.#written.then(write, write);
    return this.#written;
  }
}

/** Nothing that a command line takes for an option. */
export function newToken(): string {
  return randomBytes(16).toString('hex');
}

export function isExpired({ expireInDays, sharedMs }: LinkRecord, nowMs: number): boolean {
  return expireInDays > 0 && nowMs >= sharedMs + expireInDays * DAY_MS;
}

async function readRecords(file: string): Promise<readonly LinkRecord[]> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new Error(`${file} is no list of links: remove it to start without any`);
  return value as LinkRecord[];
}
