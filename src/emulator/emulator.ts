// A local Syncplicity: gateway and vault on two ports over a content store, strict about what the documents require.
// Promises: what startEmulator started, stop() ends. Shares nothing with the client, so that neither hides the other's misreading.
import { randomBytes } from 'node:crypto';
import { adminRoutes } from './admin.ts';
import { Apps, appsOf } from './apps.ts';
import type { App } from './apps.ts';
import { CallCounter } from './call-counts.ts';
import type { CallCounts } from './call-counts.ts';
import { observedDialect } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { Faults } from './faults.ts';
import type { Fault } from './faults.ts';
import { Filing } from './filing.ts';
import { accessRoutes } from './gateway-access.ts';
import { changeRoutes } from './gateway-changes.ts';
import { contentRoutes } from './gateway-content.ts';
import { linkRoutes } from './gateway-links.ts';
import { loginRoutes } from './gateway-login.ts';
import type { SignInOptions } from './gateway-login.ts';
import { GatewayLookup } from './gateway-lookup.ts';
import { machineRoutes } from './gateway-machines.ts';
import { participantRoutes } from './gateway-participants.ts';
import { peopleRoutes } from './gateway-people.ts';
import { syncpointRoutes } from './gateway-syncpoints.ts';
import { derivedId, randomIdentity } from './identity.ts';
import type { Credentials, Identity } from './identity.ts';
import { LaggingStore } from './lagging-store.ts';
import { Line } from './line.ts';
import { actingRoutes, storeOf } from './acting.ts';
import type { Company } from './acting.ts';
import { LinkStore } from './links.ts';
import { Logins } from './logins.ts';
import { Machines } from './machines.ts';
import { People } from './people.ts';
import type { PeopleOptions } from './people.ts';
import { ReplyWriter } from './reply.ts';
import { EmulatedServer } from './server.ts';
import { Shapes } from './shapes.ts';
import type { Account } from './shapes.ts';
import { Sharing } from './sharing.ts';
import { StorageTokens, storageSignInRoutes } from './storage-tokens.ts';
import type { ContentStore, Person } from './store.ts';
import { SyncpointFacts } from './syncpoint-facts.ts';
import { takeSnapshot } from './store-snapshot.ts';
import type { StoreSnapshot } from './store-snapshot.ts';
import { ThumbnailAddresses } from './thumbnail-addresses.ts';
import { openPainter, picturesAtVault, thumbnailRoutes } from './thumbnails.ts';
import { Throttles } from './throttle.ts';
import type { ThrottleOptions } from './throttle.ts';
import { Tokens } from './tokens.ts';
import { uploadRoutes } from './vault-upload.ts';
import { vaultRoutes } from './vault.ts';

export interface EmulatorOptions {
  /** Served and, by stop(), closed. */
  readonly store: ContentStore;
  /** Changes to the observed dialect. */
  readonly dialect?: Partial<Dialect>;
  /** Whom it knows besides the account's own user. */
  readonly people?: PeopleOptions;
  /** Who may call; random by default. */
  readonly identity?: Identity;
  readonly signIn?: SignInOptions;
  /** The vault has authentication of its own, as StorageVaults may. Off by default. */
  readonly storageSignIn?: boolean;
  /** An ordinary user who is alone by default. */
  readonly company?: Partial<Company>;
  /** Loopback by default: there is no TLS. */
  readonly host?: string;
  /** Apps that may call for the account, each with limits of its own; 1 by default. */
  readonly appCount?: number;
  /** Free ports by default. */
  readonly port?: number;
  readonly vaultPort?: number;
  /** What clients are told as the vault's address; the vault's own unless a proxy stands before it. */
  readonly announcedVaultUrl?: string;
  readonly tokenLifetimeSeconds?: number;
  /** Off by default. */
  readonly throttle?: ThrottleOptions;
  /** Added to every reply. */
  readonly latencyMs?: number;
  /** Shared by all downloads, and as much by all uploads; 1 Mbit = 10^6 bit per second. */
  readonly bandwidthMbit?: number;
  /** Of all present files together; uploads past it are refused. Unlimited by default. */
  readonly quotaBytes?: number;
  /** The account's shared links; none, and kept in memory, by default. */
  readonly links?: LinkStore;
  /** Whom links may be for: 1 nobody, 2 the company's own users, 3 everybody. */
  readonly shareLinkPolicy?: 1 | 2 | 3;
}

export interface Emulator {
  readonly gatewayUrl: string;
  readonly vaultUrl: string;
  readonly credentials: Credentials;
  /** All apps, that of the credentials first. */
  readonly apps: readonly App[];
  /** For the calls under `/_emulator/`, in the header X-Emulator-Key. */
  readonly adminKey: string;
  readonly store: ContentStore;
  /** All that the store holds, as it is, not as the dialect tells it. */
  snapshot(): Promise<StoreSnapshot>;
  calls(): CallCounts;
  resetCalls(): void;
  /** Replaces all faults; an empty array clears them. */
  setFaults(faults: readonly Fault[]): void;
  /** Makes every token given so far invalid. */
  expireTokens(): void;
  /** Makes every storage token given so far invalid. */
  endStorageSignIns(): void;
  /** Ends every sign-in with a browser, as the user can. */
  endLogins(): void;
  /** Refuses an app and its tokens from now on, or takes it back. */
  suspendApp(appKey: string, suspended?: boolean): void;
  /** Closes all sockets, then the store. */
  stop(): Promise<void>;
}

// The vendor's support pages: "currently 85 minutes".
const TOKEN_LIFETIME_SECONDS = 85 * 60;

/** Starts gateway and vault; rejects when a port is taken. */
export async function startEmulator(options: EmulatorOptions): Promise<Emulator> {
  const dialect: Dialect = { ...observedDialect, ...options.dialect };
  const { store } = options;
  const told = dialect.listingLagMs > 0 ? new LaggingStore(store, dialect.listingLagMs) : store;
  const credentials: Credentials = options.identity ?? randomIdentity();
  const account = {
    user: { id: credentials.userId, emailAddress: credentials.email, firstName: 'Emulated', lastName: 'User' },
    companyId: derivedId(credentials.userId, 'company'),
    companyName: 'Emulated company',
    storageEndpointId: derivedId(credentials.userId, 'storage endpoint'),
    eventServerId: derivedId(credentials.userId, 'event server'),
    shareLinkPolicy: options.shareLinkPolicy ?? 3,
    hasStorageSignIn: options.storageSignIn ?? false,
  };
  const adminKey = randomBytes(24).toString('base64url');
  const apps = new Apps(appsOf(credentials, options.appCount ?? 1));
  const machines = new Machines(credentials);
  const storageTokens = options.storageSignIn === true ? new StorageTokens() : undefined;
  const [replies, tokens, logins, counter, faults] = [
    new ReplyWriter(dialect),
    new Tokens(credentials, apps, machines),
    new Logins(dialect),
    new CallCounter(),
    new Faults(),
  ];
  let [gatewayUrl, vaultUrl] = ['', ''];
  const colleagues = [...(options.company?.people ?? []), ...(options.people?.colleagues ?? [])];
  const company: Company = { isAdministrator: false, actsForOthers: 'no', ...options.company, people: colleagues };
  const people = new People(account, { ...options.people, colleagues });
  const sharing = new Sharing(people);
  // One for all: it knows which uploads are under way.
  const filing = new Filing({ store: told, dialect, quotaBytes: options.quotaBytes });
  const announcedVaultUrl = (): string => options.announcedVaultUrl ?? vaultUrl;
  const addresses = new ThumbnailAddresses({ dialect, gatewayUrl: () => gatewayUrl, vaultUrl: announcedVaultUrl });
  const paint = await openPainter(dialect.thumbnailFormat);
  const shapesFor = (whose: Account): Shapes => new Shapes(dialect, whose, announcedVaultUrl, addresses);
  const facts = new SyncpointFacts({ people, sharing, shapes: shapesFor(account), dialect });
  const partsFor = (person: Person) => {
    const isSelf = person.id === account.user.id;
    const seen = isSelf ? told : storeOf(told, person);
    const whose = { ...account, user: person };
    const shapes = shapesFor(whose);
    const lookup = new GatewayLookup({ store: seen, tokens, dialect });
    const links = isSelf ? (options.links ?? LinkStore.inMemory()) : LinkStore.inMemory();
    const shared = {
      company,
      filing,
      people,
      sharing,
      facts,
      replies,
      tokens,
      storageTokens,
      dialect,
      addresses,
      paint,
    };
    return { account: whose, store: seen, links, lookup, shapes, ...shared };
  };
  const acting = { company, self: account.user, tokens, dialect };
  const routes = [
    ...accessRoutes({
      account,
      apps,
      tokens,
      logins,
      replies,
      tokenLifetimeSeconds: options.tokenLifetimeSeconds ?? TOKEN_LIFETIME_SECONDS,
      gatewayUrl: () => gatewayUrl,
      people,
    }),
    ...loginRoutes({ apps, logins, signIn: options.signIn ?? {} }),
    ...machineRoutes({ account, credentials, machines, tokens, replies, dialect }),
    ...actingRoutes({
      ...acting,
      routesFor: (person) => {
        const parts = partsFor(person);
        return [
          ...contentRoutes(parts),
          ...changeRoutes(parts),
          ...peopleRoutes(parts),
          ...linkRoutes(parts),
          ...participantRoutes(parts),
          ...syncpointRoutes(parts),
          ...thumbnailRoutes(parts),
        ];
      },
    }),
  ];
  const newLine = (): Line | undefined =>
    options.bandwidthMbit === undefined ? undefined : new Line(options.bandwidthMbit);
  const shared = { apps, replies, counter, faults, tokens, latencyMs: options.latencyMs ?? 0 };
  const gateway = new EmulatedServer({
    ...shared,
    side: 'gateway',
    line: undefined,
    uplink: undefined,
    routes,
    adminRoutes: adminRoutes({ adminKey, store, counter, faults, tokens }),
    throttles: options.throttle && new Throttles(options.throttle),
  });
  const vault = new EmulatedServer({
    ...shared,
    side: 'vault',
    line: newLine(),
    uplink: newLine(),
    routes: [
      ...(storageTokens === undefined
        ? []
        : storageSignInRoutes({ machines, storageTokens, dialect, refuses: options.signIn?.refuses ?? false })),
      ...actingRoutes({
        ...acting,
        routesFor: (person) => {
          const parts = { ...partsFor(person), store: person.id === account.user.id ? store : storeOf(store, person) };
          return [...vaultRoutes(parts), ...uploadRoutes(parts), ...picturesAtVault(parts)];
        },
      }),
    ],
    throttles: undefined,
  });
  const host = options.host ?? '127.0.0.1';
  vaultUrl = await vault.listen(host, options.vaultPort ?? 0);
  try {
    gatewayUrl = await gateway.listen(host, options.port ?? 0);
  } catch (error) {
    await vault.stop();
    throw error;
  }
  let stopped: Promise<void> | undefined;
  return {
    gatewayUrl,
    vaultUrl,
    credentials,
    apps: apps.list,
    adminKey,
    store,
    snapshot: () => takeSnapshot(store),
    calls: () => counter.counts(),
    resetCalls: () => counter.reset(),
    setFaults: (list) => faults.set(list),
    expireTokens: () => tokens.endAll(),
    endStorageSignIns: () => storageTokens?.endAll(),
    endLogins: () => logins.endAll(),
    suspendApp: (appKey, suspended = true) => apps.suspend(appKey, suspended),
    stop: () => (stopped ??= Promise.all([gateway.stop(), vault.stop()]).then(() => store.close())),
  };
}
