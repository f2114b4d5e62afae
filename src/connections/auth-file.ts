// The auth file of `connections add`: what each platform needs to get in. Checks every field and says what is wrong with it
// without ever repeating a value, because values here are secrets.
import { isAbsolute, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { namesLoopback } from '../base/loopback.ts';
import { nearNames } from '../base/near-names.ts';
import { UsageError } from '../base/usage-error.ts';
import type { SyncplicityCredentials } from '../syncplicity/options.ts';
import type { PlatformId } from './platforms.ts';

/** A checked auth file of platform `syncplicity`. Holds secrets. */
export interface SyncplicityAuth {
  readonly platform: 'syncplicity';
  readonly credentials: SyncplicityCredentials;
  readonly adminMode: boolean;
  /** Of somebody who signed in with a browser: what `connections login` stored. The store makes `credentials.login` of it. */
  readonly refreshToken?: string | undefined;
  /** The id of the machine whose token `credentials.machineToken` is. */
  readonly machineId?: string | undefined;
  /** By vault id: what `connections storage-login` stored. The store makes `credentials.storage` of it. */
  readonly storageTokens?: Readonly<Record<string, string>> | undefined;
  /** Base addresses without a trailing slash. */
  readonly apiUrl: string | undefined;
  readonly golUrl: string | undefined;
  readonly xmlUrl: string | undefined;
}

/** A checked auth file of platform `fs`. */
export interface DirectoryAuth {
  readonly platform: 'fs';
  /** Absolute path. Whether it exists is for the verification to say. */
  readonly directory: string;
}

export type ConnectionAuth = SyncplicityAuth | DirectoryAuth;

/** The keys of an auth file, by platform: those needed, and what each is, for the message about a missing one. */
const FIELDS: Readonly<Record<PlatformId, Readonly<Record<string, string>>>> = {
  syncplicity: {
    client_id: 'the App Key of your app in the Syncplicity developer portal',
    client_secret: 'the App Secret of your app in the Syncplicity developer portal',
    app_token: 'the Application Token from the Account tab of your Syncplicity profile',
    admin_mode: 'true for admin mode',
    machine_token: 'the token of a registered machine',
    machine_id: 'the id of the machine whose token machine_token is',
    storage_token: 'the token of a StorageVault with authentication',
    storage_tokens: 'an object of such tokens by the ids of their StorageVaults',
    as_user: 'the GUID or e-mail address of the user to act for',
    email: 'your e-mail address, which finds your home region',
    api_url: 'the gateway of your region',
    gol_url: 'the Global Orchestration Layer',
    xml_url: 'the legacy gateway, for machine registration',
    refresh_token: 'what connections login stored',
  },
  fs: { uri: 'the absolute path of a directory' },
};
/** Keys of other programs' Syncplicity auth files, which mean nothing here. */
const FOREIGN_KEYS = ['delete_behavior', 'syncpoint_type'];
/** A long token is some thousand characters; whatever is longer than this is not an auth file. */
export const AUTH_FILE_LIMIT_BYTES = 256 * 1024;

/** An example of each platform's auth file, to be shown where one is missing. */
export const authExamples: Readonly<Record<PlatformId, string>> = {
  syncplicity:
    '{"client_id": "<App Key>", "client_secret": "<App Secret>", "app_token": "<Application Token>", "admin_mode": false}',
  fs: '{"uri": "/some/directory"}',
};

/** What must be there: what it takes to sign in at once, or of an app that somebody signs in to with a browser. */
export type AuthNeed = 'tokens' | 'app';

/** Parses the text of an auth file. Throws {@link UsageError}, never with a piece of the text. */
export function parseAuthText(
  platform: PlatformId,
  text: string,
  need: AuthNeed = 'tokens',
): { auth: ConnectionAuth; warnings: string[] } {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    // The parser's message quotes the text it stumbled over, which may be a secret: only the place is told.
    const position = /position (\d+)/.exec((error as Error).message)?.[1];
    const place = position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`;
    throw new UsageError(`the authentication is not valid JSON${place}`, `it looks like ${authExamples[platform]}`);
  }
  return parseAuth(platform, value, need);
}

/** Checks an auth object. Unknown keys are warnings; a missing, mistyped or placeholder value throws {@link UsageError}. */
export function parseAuth(
  platform: PlatformId,
  value: unknown,
  need: AuthNeed = 'tokens',
): { auth: ConnectionAuth; warnings: string[] } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError('the authentication is not a JSON object', `it looks like ${authExamples[platform]}`);
  }
  const fields = new AuthFields(platform, value as Readonly<Record<string, unknown>>);
  const auth = platform === 'fs' ? directoryAuth(fields) : syncplicityAuth(fields, need);
  return { auth, warnings: unknownKeys(platform, Object.keys(value)) };
}

/** The auth object that {@link parseAuth} reads back to an equal value. */
export function serializeAuth(auth: ConnectionAuth): Record<string, unknown> {
  if (auth.platform === 'fs') return { uri: auth.directory };
  const { credentials } = auth;
  const fields = {
    client_id: credentials.clientId,
    client_secret: credentials.clientSecret,
    app_token: credentials.appToken,
    machine_token: credentials.machineToken,
    machine_id: auth.machineId,
    storage_token: credentials.storageToken,
    storage_tokens: auth.storageTokens,
    as_user: credentials.asUser,
    email: credentials.email,
    refresh_token: auth.refreshToken,
    admin_mode: auth.adminMode ? true : undefined,
    api_url: auth.apiUrl,
    gol_url: auth.golUrl,
    xml_url: auth.xmlUrl,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== undefined));
}

/** The keys that nobody else may see; all others only tell where and who. */
const SECRET_KEYS: ReadonlySet<string> = new Set([
  'client_secret',
  'app_token',
  'machine_token',
  'storage_token',
  'storage_tokens',
  'refresh_token',
]);

/** An auth object in two: what may be read by others, and the secrets. */
export function splitAuth(auth: Readonly<Record<string, unknown>>): {
  readonly open: Record<string, unknown>;
  readonly secret: Record<string, unknown>;
} {
  const entries = Object.entries(auth);
  return {
    open: Object.fromEntries(entries.filter(([key]) => !SECRET_KEYS.has(key))),
    secret: Object.fromEntries(entries.filter(([key]) => SECRET_KEYS.has(key))),
  };
}

function directoryAuth(fields: AuthFields): DirectoryAuth {
  const uri = fields.required('uri');
  let path = uri;
  if (/^file:/i.test(uri)) {
    try {
      path = fileURLToPath(uri);
    } catch {
      throw new UsageError(
        '"uri" is not a usable file: URL',
        'write it like file:///some/directory or /some/directory',
      );
    }
  }
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new UsageError('"uri" must be the absolute path of a directory', `it looks like ${authExamples.fs}`);
  }
  const normal = normalize(path);
  return { platform: 'fs', directory: normal.length > 1 ? normal.replace(/\/$/, '') : normal };
}

function syncplicityAuth(fields: AuthFields, need: AuthNeed): SyncplicityAuth {
  const clientId = fields.required('client_id');
  const clientSecret = fields.required('client_secret');
  const machineToken = fields.text('machine_token');
  const refreshToken = fields.text('refresh_token');
  const machineId = fields.text('machine_id');
  const storageTokens = fields.texts('storage_tokens');
  const isTokenNeeded = machineToken === undefined && refreshToken === undefined && need === 'tokens';
  const appToken = isTokenNeeded ? fields.required('app_token') : fields.text('app_token');
  return {
    platform: 'syncplicity',
    credentials: {
      clientId,
      clientSecret,
      appToken,
      machineToken,
      storageToken: fields.text('storage_token'),
      asUser: fields.text('as_user'),
      email: fields.text('email'),
    },
    adminMode: fields.flag('admin_mode'),
    ...(refreshToken === undefined ? {} : { refreshToken }),
    ...(machineId === undefined ? {} : { machineId }),
    ...(storageTokens === undefined ? {} : { storageTokens }),
    apiUrl: fields.address('api_url'),
    golUrl: fields.address('gol_url'),
    xmlUrl: fields.address('xml_url'),
  };
}

/** The fields of one auth object, read leniently in type and strictly in meaning. */
class AuthFields {
  readonly #platform: PlatformId;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(platform: PlatformId, values: Readonly<Record<string, unknown>>) {
    this.#platform = platform;
    this.#values = values;
  }

  /** The trimmed text of a field; undefined for an absent, null or empty one. */
  text(key: string): string | undefined {
    return this.#text(key, this.#values[key]);
  }

  /** The texts of an object, by keys in lower case; undefined for an absent or empty one. */
  texts(key: string): Readonly<Record<string, string>> | undefined {
    const value = this.#values[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw new UsageError(`"${key}" must be an object: ${this.#meaning(key)}`);
    }
    const texts: Record<string, string> = {};
    for (const [name, member] of Object.entries(value as Record<string, unknown>)) {
      const text = this.#text(key, member);
      if (text !== undefined) texts[name.toLowerCase()] = text;
    }
    return Object.keys(texts).length === 0 ? undefined : texts;
  }

  #text(key: string, value: unknown): string | undefined {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw new UsageError(`"${key}" must be a text: ${this.#meaning(key)}`);
    }
    const text = String(value).trim();
    if (text.includes('{{')) {
      throw new UsageError(
        `"${key}" still holds a {{placeholder}}`,
        `put ${this.#meaning(key)} there, without the braces, or leave an optional key out`,
      );
    }
    // Headers carry most of these; a line break in one would start another.
    if (/[\u0000-\u001f\u007f]/.test(text)) throw new UsageError(`"${key}" holds a line break or a control character`);
    return text === '' ? undefined : text;
  }

  required(key: string): string {
    const text = this.text(key);
    if (text === undefined) throw new UsageError(`"${key}" is missing: ${this.#meaning(key)}`);
    return text;
  }

  flag(key: string): boolean {
    const value = this.#values[key];
    if (typeof value === 'boolean') return value;
    const text = this.text(key)?.toLowerCase();
    if (text === undefined || text === 'false' || text === '0' || text === 'no') return false;
    if (text === 'true' || text === '1' || text === 'yes') return true;
    throw new UsageError(`"${key}" must be true or false`);
  }

  address(key: string): string | undefined {
    const text = this.text(key);
    if (text === undefined) return undefined;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
      throw new UsageError(`"${key}" is not an https address`, 'write it like https://api.syncplicity.com');
    }
    if (url.protocol === 'http:' && !namesLoopback(url.hostname)) {
      throw new UsageError(
        `"${key}" is an http: address, which would show your credentials to the network`,
        'use https:, or a loopback address for a local server',
      );
    }
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
      throw new UsageError(`"${key}" must be an address only, without user, "?" or "#"`);
    }
    return url.href.replace(/\/+$/, '');
  }

  #meaning(key: string): string {
    return FIELDS[this.#platform][key] ?? key;
  }
}

function unknownKeys(platform: PlatformId, keys: readonly string[]): string[] {
  const known = Object.keys(FIELDS[platform]);
  return keys
    .filter((key) => !known.includes(key))
    .map((key) => {
      if (platform === 'syncplicity' && FOREIGN_KEYS.includes(key))
        return `"${key}" has no meaning here and is ignored`;
      const near = nearNames(key, known);
      return `unknown key "${key}" is ignored${near.length > 0 ? `; did you mean "${near.join('" or "')}"?` : ''}`;
    });
}
