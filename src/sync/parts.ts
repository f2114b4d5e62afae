// What the steps of the pusher share: the rooms they work with, and the little they need of each.
import type { Journal } from '../cache/journal.ts';
import type { Listings } from '../cache/listings.ts';
import type { StagedContent } from '../cache/tree.ts';
import type { ContentReference, RemoteDrive } from '../remote-drive.ts';
import type { Outcomes } from './outcomes.ts';
import type { UploadOutcomes } from './upload-outcomes.ts';

/** Content to be sent: complete, and unchanged until close(). */
export interface SendableContent {
  readonly lengthBytes: number;
  /** A generation that is complete in itself, to be named instead of the one that was sealed. */
  readonly staged: StagedContent | undefined;
  /** Undefined where it would have to be fetched to tell. */
  sha256(signal: AbortSignal): Promise<string | undefined>;
  read(offsetBytes: number, lengthBytes: number, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Resolves when the bytes are safe against power loss (J8). */
  makeDurable(): Promise<void>;
  close(): void;
}

/** Where content comes from. */
export interface ContentToSend {
  /** A generation of the staging directory, filled up from what it lies over. */
  seal(staged: StagedContent, signal: AbortSignal): Promise<SendableContent>;
  /** A version of the service, through what is cached of it. */
  version(content: ContentReference): SendableContent;
  /** The service has this generation now: it may serve reads until room is needed. */
  keep(inode: number, staged: StagedContent): void;
}

export interface Parts {
  readonly journal: Journal;
  readonly listings: Listings;
  readonly drive: RemoteDrive;
  readonly content: ContentToSend;
  readonly outcomes: Outcomes;
  readonly uploads: UploadOutcomes;
  /** Removals are for good: what they bring into the trash is purged. */
  readonly purgesRemoved?: boolean | undefined;
  /** Bytes that the service has are stored again where their modification time is another one. */
  readonly storesTimes?: boolean | undefined;
  /** Wall clock, ms. */
  readonly nowMs: () => number;
  /** A clock that nobody sets, ms: for what waits in this process. */
  readonly steadyMs: () => number;
}

/** A step came to a point where its object, or the service, is not what it was planned for: it is planned anew. */
export class Replan extends Error {
  override readonly name = 'Replan';
}

/** Content of which some, or all, lies at the service alone is gone there before it was stored anew. */
export class SourceGone extends Error {
  override readonly name = 'SourceGone';
  constructor(cause: Error) {
    super(
      `what is not on this machine of its content is gone at the service: restore the file there and retry, or discard this one (${cause.message})`,
      { cause },
    );
  }
}

/** Content that a power failure took from or may have: it is not sent before the user says so. */
export class DamagedContent extends Error {
  override readonly name = 'DamagedContent';
  constructor(what: string) {
    super(`the machine went down before it was safe on its disk, and ${what}: save it, or retry to send it as it is`);
  }
}
