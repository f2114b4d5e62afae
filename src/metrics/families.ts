// The metrics of a mount: each by its name, its kind, what it means and where in the readings its values are. Names keep to Prometheus'
// conventions, which dashboards rely on: doc/grafana/ and its test go with any change here.
import type { ProcessReadings } from './process-readings.ts';
import type { Readings } from './readings.ts';

/** What the values of one scrape are taken from. */
export type Scrape = Readings & { readonly process: ProcessReadings };

/** A value, and the labels that tell it from others of its family. */
export type Sample = readonly [value: number, labels?: Readonly<Record<string, string>>];

export interface Family {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
  /** Empty where there is nothing to tell: the family then has no series. */
  readonly samples: (scrape: Scrape) => readonly Sample[];
}

function counter(name: string, help: string, value: (scrape: Scrape) => number): Family {
  return { name: `${name}_total`, kind: 'counter', help, labels: [], samples: (scrape) => [[value(scrape)]] };
}

/** `value` is undefined where there is nothing to tell. */
function gauge(name: string, help: string, value: (scrape: Scrape) => number | undefined): Family {
  const samples = (scrape: Scrape): Sample[] => {
    const found = value(scrape);
    return found === undefined ? [] : [[found]];
  };
  return { name, kind: 'gauge', help, labels: [], samples };
}

type Labelled = Readonly<Record<string, number | undefined>>;

function samplesOf(label: string, values: Labelled): Sample[] {
  return Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [[value, { [label]: name }] satisfies Sample],
  );
}

function countersBy(label: string, name: string, help: string, values: (scrape: Scrape) => Labelled): Family {
  const samples = (scrape: Scrape): Sample[] => samplesOf(label, values(scrape));
  return { name: `${name}_total`, kind: 'counter', help, labels: [label], samples };
}

function gaugesBy(label: string, name: string, help: string, values: (scrape: Scrape) => Labelled): Family {
  return { name, kind: 'gauge', help, labels: [label], samples: (scrape) => samplesOf(label, values(scrape)) };
}

type Member = Scrape['members'][number];

function ofMembers(value: (member: Member) => number | undefined): (scrape: Scrape) => Labelled {
  return ({ members }) => Object.fromEntries(members.map((member) => [member.name, value(member)]));
}

type Opcode = Scrape['fuse']['byOpcode'][string];

function ofOpcodes(value: (opcode: Opcode) => number): (scrape: Scrape) => Labelled {
  return ({ fuse }) => Object.fromEntries(Object.entries(fuse.byOpcode).map(([name, one]) => [name, value(one)]));
}

/** Without a limit there is none to tell, nor what is left of it. */
function limited(limit: number, value = limit): number | undefined {
  return limit === 0 ? undefined : value;
}

/** All but the histogram. */
export const families: readonly Family[] = [
  countersBy('class', 'syncplicityfs_calls', 'Calls of the gateway, by who wanted them.', ({ calls }) => calls.byClass),
  countersBy(
    'endpoint',
    'syncplicityfs_endpoint_calls',
    'Calls of the gateway and requests to vaults, by their names in the guide of the API.',
    ({ calls }) => calls.byEndpoint,
  ),
  counter(
    'syncplicityfs_throttled_calls',
    'Calls that the gateway refused because too many were made (429).',
    ({ calls }) => calls.throttled,
  ),
  gauge('syncplicityfs_call_budget_left', 'Calls left in this hour; absent without a limit.', ({ calls: { budget } }) =>
    limited(budget.perHour, budget.leftThisHour),
  ),
  gauge('syncplicityfs_call_budget_per_hour', 'Calls allowed in any hour; absent without a limit.', ({ calls }) =>
    limited(calls.budget.perHour),
  ),
  gauge('syncplicityfs_call_budget_per_second', 'Calls allowed in any second; absent without a limit.', ({ calls }) =>
    limited(calls.budget.perSecond),
  ),
  gauge('syncplicityfs_online', '1 if the last call reached the service, else 0.', ({ online }) => Number(online)),
  gauge('syncplicityfs_paused', '1 while sending is paused, else 0.', ({ paused }) => Number(paused)),
  counter('syncplicityfs_received_bytes', 'Bytes of content fetched.', ({ transfers }) => transfers.bytesIn),
  counter(
    'syncplicityfs_sent_bytes',
    'Bytes of content sent, those sent again too.',
    ({ transfers }) => transfers.bytesOut,
  ),
  gaugesBy(
    'direction',
    'syncplicityfs_bandwidth_limit_bytes_per_second',
    'What --bwlimit allows; absent without a limit.',
    ({ transfers: { limitIn, limitOut } }) => ({ in: limitIn ?? undefined, out: limitOut ?? undefined }),
  ),

  countersBy(
    'member',
    'syncplicityfs_member_calls',
    'Calls of the gateway through this connection of the pool.',
    ofMembers(({ calls }) => calls),
  ),
  countersBy(
    'member',
    'syncplicityfs_member_throttled_calls',
    'Calls through this connection that the gateway refused (429).',
    ofMembers(({ throttled }) => throttled),
  ),
  gaugesBy(
    'member',
    'syncplicityfs_member_call_budget_left',
    'Calls left in this hour to the app key of this connection; absent without a limit.',
    ofMembers(({ budget }) => limited(budget.perHour, budget.leftThisHour)),
  ),
  gaugesBy(
    'member',
    'syncplicityfs_member_call_budget_per_hour',
    'Calls in any hour allowed to the app key of this connection; absent without a limit.',
    ofMembers(({ budget }) => limited(budget.perHour)),
  ),
  gaugesBy(
    'member',
    'syncplicityfs_member_available',
    '1 if this connection of the pool takes calls, else 0.',
    ofMembers(({ available }) => Number(available)),
  ),

  countersBy(
    'opcode',
    'syncplicityfs_fuse_requests',
    "Requests of the kernel, by the kernel's names of them.",
    ofOpcodes(({ requests }) => requests),
  ),
  countersBy(
    'opcode',
    'syncplicityfs_fuse_errors',
    'Requests answered with an error; asking for what is not there is one.',
    ofOpcodes(({ errors }) => errors),
  ),
  counter('syncplicityfs_fuse_read_bytes', 'Bytes that programs read.', ({ fuse }) => fuse.readBytes),
  gauge('syncplicityfs_fuse_pending_requests', 'Requests whose answer is not there yet.', ({ fuse }) => fuse.pending),
  gauge(
    'syncplicityfs_waiting_requests',
    'Requests of programs that wait for the service.',
    ({ fuse }) => fuse.waiting,
  ),

  counter(
    'syncplicityfs_cache_hits',
    'Blocks of content that were there when they were read.',
    ({ cache }) => cache.hits,
  ),
  counter('syncplicityfs_cache_misses', 'Blocks of content that had to be waited for.', ({ cache }) => cache.misses),
  gaugesBy('tier', 'syncplicityfs_cache_bytes', 'Content in the cache.', ({ cache: { memoryBytes, diskBytes } }) => ({
    memory: memoryBytes,
    disk: diskBytes,
  })),
  gaugesBy(
    'tier',
    'syncplicityfs_cache_limit_bytes',
    'Content that the cache may hold.',
    ({ cache: { memoryBytesMax, diskBytesMax } }) => ({ memory: memoryBytesMax, disk: diskBytesMax }),
  ),
  counter(
    'syncplicityfs_prefetch_unused_bytes',
    'Bytes fetched ahead that left memory without being read.',
    ({ cache }) => cache.prefetchUnusedBytes,
  ),
  counter(
    'syncplicityfs_stale_listings',
    'Listings that were shown although they were old, because the service did not answer in time.',
    ({ cache }) => cache.staleListings,
  ),
  gauge(
    'syncplicityfs_relisting_folders',
    'Folders that are to be listed anew behind those who were shown the old listing.',
    ({ cache }) => cache.relistingFolders,
  ),

  gauge('syncplicityfs_pending_changes', 'Changes that are not at the service yet.', ({ changes }) => changes.pending),
  gauge('syncplicityfs_pending_bytes', 'Bytes of the content among them.', ({ changes }) => changes.pendingBytes),
  gauge('syncplicityfs_pending_sent_bytes', 'Bytes of that already sent.', ({ changes }) => changes.pendingSentBytes),
  gauge('syncplicityfs_failed_changes', 'Changes that wait for a decision.', ({ changes }) => changes.failed),
  gauge('syncplicityfs_conflicts', 'Files kept beside what somebody else stored.', ({ changes }) => changes.conflicts),
  gauge(
    'syncplicityfs_unfinished_files',
    'Files that were being written when an earlier daemon ended.',
    ({ changes }) => changes.unfinished,
  ),
  gauge('syncplicityfs_local_only_files', 'Files that stay on this machine.', ({ changes }) => changes.localOnlyFiles),
  gauge('syncplicityfs_local_only_bytes', 'Bytes of them.', ({ changes }) => changes.localOnlyBytes),
  gauge(
    'syncplicityfs_pending_purges',
    'What lies in the trash and is to be deleted for good.',
    ({ changes }) => changes.purgesPending,
  ),
  gauge('syncplicityfs_refused_purges', 'What has to stay there.', ({ changes }) => changes.purgesRefused),
  gauge('syncplicityfs_pinned_files', 'Pinned files that are in the cache.', ({ pinned }) => pinned.files),
  gauge('syncplicityfs_pinned_bytes', 'Bytes of them.', ({ pinned }) => pinned.bytes),
  gauge('syncplicityfs_pinned_missing_files', 'Pinned files still to be fetched.', ({ pinned }) => pinned.filesLeft),
  gauge('syncplicityfs_pinned_missing_bytes', 'Bytes of them.', ({ pinned }) => pinned.bytesLeft),

  gaugesBy(
    'kind',
    'syncplicityfs_memory_bytes',
    'Resident memory: its own, and pages of mapped files, which the kernel may take back.',
    ({ memory }) => ({ own: memory.ownBytes, file_pages: memory.filePagesBytes }),
  ),
  {
    name: 'syncplicityfs_build_info',
    kind: 'gauge',
    help: 'Always 1; the labels tell what runs.',
    labels: ['version', 'transport', 'node'],
    samples: ({ build }) => [[1, { ...build, node: process.versions.node }]],
  },

  counter('process_cpu_seconds', 'Processor time of this process.', (scrape) => scrape.process.cpuSeconds),
  gauge('process_start_time_seconds', 'When this process began.', (scrape) => scrape.process.startSeconds),
  gauge('process_resident_memory_bytes', 'Resident memory.', (scrape) => scrape.process.residentBytes),
  gauge('nodejs_heap_size_total_bytes', 'JavaScript heap.', (scrape) => scrape.process.heapBytes),
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', (scrape) => scrape.process.heapUsedBytes),
  gauge(
    'nodejs_eventloop_lag_seconds',
    'What a turn of the event loop just took.',
    (scrape) => scrape.process.lagSeconds,
  ),
  counter(
    'nodejs_eventloop_active_seconds',
    'Time in which the event loop did not wait.',
    (scrape) => scrape.process.activeSeconds,
  ),
];
