// What a mount hands over for one scrape. Counts end in what they count; what only grows since the mount began says so. No file's name, no
// address and no secret is in it: members' names are the only words that come from the user.

/** Gateway calls that an app key, or several, may make; 0: no limit. */
export interface BudgetReading {
  readonly perSecond: number;
  readonly perHour: number;
  readonly leftThisHour: number;
}

/** How long requests took: how many in each bucket alone, those beyond the last bound at the end. */
export interface LatencyReading {
  readonly counts: readonly number[];
  readonly sumSeconds: number;
}

export interface Readings {
  readonly build: { readonly version: string; readonly transport: string };
  readonly calls: {
    /** These three only grow. */
    readonly byClass: Readonly<Record<string, number>>;
    readonly byEndpoint: Readonly<Record<string, number>>;
    readonly throttled: number;
    readonly budget: BudgetReading;
  };
  /** Empty where no pool is mounted. Names differ. */
  readonly members: readonly {
    readonly name: string;
    readonly calls: number;
    readonly throttled: number;
    readonly budget: BudgetReading;
    readonly available: boolean;
  }[];
  readonly online: boolean;
  readonly paused: boolean;
  /** Only grow; the limits, in bytes a second, do not. */
  readonly transfers: {
    readonly bytesIn: number;
    readonly bytesOut: number;
    readonly limitIn: number | null;
    readonly limitOut: number | null;
  };
  readonly fuse: {
    /** Only grow. */
    readonly byOpcode: Readonly<
      Record<
        string,
        { readonly requests: number; readonly errors: number; readonly latency: LatencyReading | undefined }
      >
    >;
    readonly latencyBoundsSeconds: readonly number[];
    /** Bytes that programs were given; only grows. */
    readonly readBytes: number;
    readonly pending: number;
    /** Programs that wait for the service. */
    readonly waiting: number;
  };
  readonly cache: {
    /** These four only grow. */
    readonly hits: number;
    readonly misses: number;
    readonly prefetchUnusedBytes: number;
    readonly staleListings: number;
    readonly memoryBytes: number;
    readonly memoryBytesMax: number;
    readonly diskBytes: number;
    readonly diskBytesMax: number;
    readonly relistingFolders: number;
  };
  readonly changes: {
    readonly pending: number;
    readonly pendingBytes: number;
    readonly pendingSentBytes: number;
    readonly failed: number;
    readonly conflicts: number;
    readonly unfinished: number;
    readonly localOnlyFiles: number;
    readonly localOnlyBytes: number;
    readonly purgesPending: number;
    readonly purgesRefused: number;
  };
  readonly pinned: {
    readonly files: number;
    readonly bytes: number;
    readonly filesLeft: number;
    readonly bytesLeft: number;
  };
  readonly memory: { readonly ownBytes: number; readonly filePagesBytes: number };
}
