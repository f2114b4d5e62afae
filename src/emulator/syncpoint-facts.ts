// What the replies about a syncpoint tell beside its record: with whom it is shared, and which machine it is mapped to.
// Promises: mappings are as they were told last, as long as the process lives. Must not know: who asks, sockets.
import type { Dialect } from './dialect.ts';
import { participantShape } from './gateway-participants.ts';
import type { People } from './people.ts';
import type { Shapes } from './shapes.ts';
import type { Sharing } from './sharing.ts';
import type { SyncpointRecord } from './store.ts';
import type { WireObject, WireValue } from './wire-json.ts';

/** Where a machine keeps a syncpoint. */
export interface Mapping {
  readonly machineId: string;
  readonly path: string;
  readonly mapped: boolean;
  readonly downloadEnabled: boolean;
  readonly uploadEnabled: boolean;
}

export interface SyncpointFactsOptions {
  readonly people: People;
  readonly sharing: Sharing;
  readonly shapes: Shapes;
  readonly dialect: Dialect;
}

export class SyncpointFacts {
  readonly #options: SyncpointFactsOptions;
  readonly #mappings = new Map<number, Mapping>();

  constructor(options: SyncpointFactsOptions) {
    this.#options = options;
  }

  /** Maps a syncpoint, or ends that: the documents allow one mapping. */
  map(syncpoint: SyncpointRecord, mapping: Mapping): void {
    this.#mappings.set(syncpoint.id, mapping);
  }

  /** Members of a reply that go before those of the record. */
  of(syncpoint: SyncpointRecord, withParticipants: boolean): WireObject {
    const { people, sharing, shapes } = this.#options;
    const participants = sharing.participants(syncpoint);
    const mapping = this.#mappings.get(syncpoint.id);
    return {
      Shared: participants.length > 1,
      Mapped: mapping?.mapped ?? false,
      Path: mapping?.path,
      Mappings: this.#mappingsOf(syncpoint, mapping),
      Participants: withParticipants ? participants.map((one) => participantShape(one, people, shapes)) : undefined,
    };
  }

  #mappingsOf(syncpoint: SyncpointRecord, mapping: Mapping | undefined): WireValue {
    if (mapping === undefined) return [];
    const shape = {
      SyncPointId: syncpoint.id,
      Machine: { Id: mapping.machineId },
      Path: mapping.path,
      Mapped: mapping.mapped,
      DownloadEnabled: mapping.downloadEnabled,
      UploadEnabled: mapping.uploadEnabled,
      MappingType: 1,
    };
    switch (this.#options.dialect.mappingsReply) {
      case 'array':
        return [shape];
      case 'wrapped':
        return [{ Mapping: shape }];
      case 'object':
        return { Mapping: shape };
    }
  }
}
