// The emulator killed at random while clients write: what it answered is there when it starts again, under the ids it told. Needs the
// built program.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Emulator } from '../../src/emulator/emulator.ts';
import type { SnapshotFile, StoreSnapshot } from '../../src/emulator/store-snapshot.ts';
import { signIn } from './client.ts';
import type { Service } from './stores.ts';
import { call, chunk, query, sha256, upload } from './upload-client.ts';

const PROGRAM = join(import.meta.dirname, '../../dist/bin/syncplicityfs.js');
const ROUNDS = 8;
const WORKERS = 4;

let directory: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'emulator-killed-'));
  mkdirSync(join(directory, 'data'));
});
afterEach(async () => {
  await kill();
  rmSync(directory, { recursive: true });
});

async function kill(): Promise<void> {
  if (child === undefined) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  child = undefined;
}

/** Starts the emulator over what is there; enough of it for the clients of this folder's tests. */
async function start(): Promise<Service & { snapshot(): Promise<StoreSnapshot> }> {
  const where = ['--data', join(directory, 'data'), '--state', join(directory, 'state')];
  child = spawn(process.execPath, [PROGRAM, 'emulator', ...where, '--exclusive', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const emulator = JSON.parse(line) as Emulator;
  const session = await signIn(emulator);
  const [syncpoint] = (await (await call(session, 'GET', '/syncpoint/syncpoints.svc/')).json()) as {
    Id: number;
    RootFolderId: number;
  }[];
  const headers = { 'X-Emulator-Key': emulator.adminKey };
  const service = { session, emulator, syncpointId: syncpoint?.Id ?? 0, rootFolderId: syncpoint?.RootFolderId ?? 0 };
  return {
    ...(service as unknown as Service),
    snapshot: async () =>
      (await (await fetch(`${emulator.gatewayUrl}/_emulator/snapshot`, { headers })).json()) as StoreSnapshot,
  };
}

/** What a worker's one file is: undefined when there is none. */
type State = { readonly name: string; readonly text: string; readonly versionId: number | undefined } | undefined;

/** Writes, renames and removes one file, over and over; what was answered last, and what the call cut off would have made of it. */
class Worker {
  readonly #number: number;
  #turn = 0;
  known: State;
  wanted: State;
  acknowledged = 0;

  constructor(number: number) {
    this.#number = number;
  }

  async run(service: Service): Promise<void> {
    for (;;) {
      const turn = this.#turn++;
      const text = `${this.#number} ${turn} ${'x'.repeat((turn * 7919) % 40_000)}`;
      const name = `file ${this.#number} ${turn % 3 === 0 ? 'a' : 'b'}`;
      if (this.known === undefined || turn % 4 < 2) {
        const target = this.known?.name ?? name;
        this.wanted = { name: target, text, versionId: undefined };
        this.known = { ...this.wanted, versionId: await this.#store(service, target, text, turn) };
      } else if (turn % 4 === 2) {
        this.wanted = { ...this.known, name };
        await this.#rename(service, this.known, name);
        this.known = this.wanted;
      } else {
        this.wanted = undefined;
        const path = `/sync/file.svc/${service.syncpointId}/file/${this.known.versionId ?? 0}`;
        await answered(call(service.session, 'DELETE', path));
        this.known = undefined;
      }
      this.acknowledged++;
    }
  }

  async #store(service: Service, name: string, text: string, turn: number): Promise<number> {
    const changes = { url: 'v2/mime/files' } as const;
    let reply: Response;
    if (turn % 3 === 0) {
      const half = Math.ceil(text.length / 2);
      const begun = await query(service, name, { url: 'v2/mime/files', contentRange: '*/*' });
      const etag = (response: Response): string => response.headers.get('etag') ?? '';
      const first = await chunk(service, name, text.slice(0, half), { ...changes, start: 0, ifMatch: etag(begun) });
      const rest = { ...changes, start: half, ifMatch: etag(first), isLast: true };
      reply = await answered(chunk(service, name, text.slice(half), rest));
    } else reply = await answered(upload(service, name, text, changes));
    return ((await reply.json()) as { data_file_version_id: number }).data_file_version_id;
  }

  async #rename(service: Service, { versionId }: NonNullable<State>, name: string): Promise<void> {
    await answered(
      call(service.session, 'PUT', `/sync/file.svc/${service.syncpointId}/file`, {
        SyncpointId: service.syncpointId,
        // A version id is the file's id and a count in one.
        FileId: Math.floor((versionId ?? 0) / 2 ** 20),
        Filename: name,
        FolderId: service.rootFolderId,
        LatestVersionId: versionId,
        Status: 6,
      }),
    );
  }

  /** Takes what the store holds as known; throws unless it is one of the two states it may be in. */
  check(files: readonly SnapshotFile[]): void {
    const own = files.filter(({ path }) => path.startsWith(`file ${this.#number} `));
    const seen = own.map(({ path, sha256: hash }) => `${path} ${hash}`);
    const states = [this.known, this.wanted].map((state) => (state ? [`${state.name} ${sha256(state.text)}`] : []));
    expect(states).toContainEqual(seen);
    const [file] = own;
    const isKnown =
      file?.path === this.known?.name && file !== undefined && file.sha256 === sha256(this.known?.text ?? '');
    if (isKnown) expect(file.versionId).toBe(this.known?.versionId);
    const text = isKnown ? this.known?.text : this.wanted?.text;
    this.known = file && { name: file.path, text: text ?? '', versionId: file.versionId };
    this.wanted = this.known;
  }
}

async function answered(response: Promise<Response>): Promise<Response> {
  const reply = await response;
  if (reply.status !== 200) throw new UnexpectedReply(`${reply.status} ${await reply.text()}`);
  return reply;
}

/** Not the end of the emulator, which is expected. */
class UnexpectedReply extends Error {
  override readonly name = 'UnexpectedReply';
}

test('every answered change survives, and none is invented', async () => {
  const workers = Array.from({ length: WORKERS }, (_, number) => new Worker(number));
  for (let round = 0; round < ROUNDS; round++) {
    const service = await start();
    const entries = (await service.snapshot()).syncpoints.flatMap((syncpoint) => syncpoint.entries);
    const files = entries.filter((entry) => entry.kind === 'file');
    for (const worker of workers) worker.check(files);
    expect(files.length).toBe(workers.filter(({ known }) => known !== undefined).length);
    const working = workers.map((worker) =>
      worker.run(service).catch((error: unknown) => {
        if (error instanceof UnexpectedReply) throw error;
      }),
    );
    // The moment of the kill is what is tried out: anything from the first call on.
    await Promise.race([sleep(60 + Math.random() * 250), Promise.all(working)]);
    await kill();
    await Promise.all(working);
  }
  expect(workers.reduce((sum, { acknowledged }) => sum + acknowledged, 0)).toBeGreaterThan(ROUNDS);
  const service = await start();
  const left = (await service.snapshot()).syncpoints.flatMap((syncpoint) => syncpoint.entries);
  for (const worker of workers) worker.check(left.filter((entry) => entry.kind === 'file'));
  // Nothing half arrived lies among the files.
  expect(readdirSync(join(directory, 'data')).sort()).toEqual(left.map(({ path }) => path).sort());
}, 60_000);
