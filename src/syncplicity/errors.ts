// What an error reply means. Texts decide before status codes, because the service answers 403 for an expired token, a refused
// address and a reader's permission alike. Text is taken from JSON StatusDescription, Apigee fault, OAuth error, reason phrase,
// raw body, in that order. Messages are one line and never carry a token.
import { STATUS_CODES } from 'node:http';
import { RemoteError } from '../remote-drive.ts';
import type { RemoteErrorKind } from '../remote-drive.ts';
import { isObject } from './wire/fields.ts';
import { parseLossless } from './wire/lossless-json.ts';
import { printable } from './wire/printable.ts';

/** The failure of a call the service answered: what it said, for those who must tell replies of one kind apart. */
export class ReplyError extends RemoteError {
  readonly status: number;
  /** The service's own words. */
  readonly text: string;
  constructor(kind: RemoteErrorKind, message: string, reply: Pick<ReplyError, 'status' | 'text' | 'retryAfterMs'>) {
    super(kind, message, { retryAfterMs: reply.retryAfterMs, isUnexplained: isBare403(reply.status, reply.text) });
    this.status = reply.status;
    this.text = reply.text;
  }
}

/** A change that was asked for, and of which nobody knows whether it was made. */
export class UnclearError extends RemoteError {
  constructor(cause: RemoteError) {
    const { message, retryAfterMs } = cause;
    super('unavailable', `${message}; it may have been done nevertheless`, { cause, retryAfterMs });
  }
}

/** An error reply as it came. `call` names the call of the guide, `thing` what it was about. */
export interface ErrorReply {
  readonly call: string;
  readonly thing: string;
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  readonly retryAfterMs?: number | undefined;
}

/** The service's own words for a failure, one line, possibly empty: the reason phrase before a body that is no JSON. */
export function replyText(reply: Pick<ErrorReply, 'reason' | 'body'>): string {
  return oneLine(jsonText(reply.body) ?? (reply.reason.trim() !== '' ? reply.reason : plainText(reply.body)));
}

/** The words that say most: a phrase that belongs to the status and nothing else gives way to a text in the body. */
function fullText(reply: ErrorReply): string {
  const isPhraseOfStatus = reply.reason.trim().toLowerCase() === STATUS_CODES[reply.status]?.toLowerCase();
  const body = reply.body.trim();
  const isText = body !== '' && !/^[<{[]/.test(body);
  return isPhraseOfStatus && isText ? oneLine(jsonText(body) ?? body) : replyText(reply);
}

/** True when the token may be stale: 401, or 403 that says nothing but Forbidden. */
export function asksForNewToken(reply: ErrorReply): boolean {
  if (reply.status === 401) return true;
  return isBare403(reply.status, replyText(reply));
}

/** True for a 403 that says nothing but Forbidden. */
function isBare403(status: number, text: string): boolean {
  return status === 403 && /^(forbidden\.?)?$/i.test(text);
}

/** True for words about an object that is gone or never was, which a missing endpoint has none of. */
export function namesMissingObject(text: string): boolean {
  return missingTexts.some((pattern) => pattern.test(text));
}

/**
 * True where a server seems to have no such call: under no form of its URL, and without a word about what was asked for. Another server may
 * be meant by now.
 */
export function knowsNoSuchCall(error: unknown): boolean {
  const answer = error instanceof RemoteError && error.cause instanceof ReplyError ? error.cause : error;
  return (
    answer instanceof ReplyError && (answer.status === 404 || answer.status === 405) && !namesMissingObject(answer.text)
  );
}

/** True for refusals of the call budget, whatever their status. */
export function isThrottling(reply: ErrorReply): boolean {
  return reply.status === 429 || throttlingTexts.test(replyText(reply)) || /policies\.ratelimit\./i.test(reply.body);
}

/** True when Apigee's smoothing refused the call: it came too soon after the one before. */
export function isSpikeArrest(reply: ErrorReply): boolean {
  return /spike ?arrest/i.test(reply.body) || /spike ?arrest/i.test(reply.reason);
}

/** The error a failed call rejects with. */
export function replyError(reply: ErrorReply): ReplyError {
  const text = fullText(reply);
  const kind = kindOfReply(reply, text);
  const answer = text === '' ? `HTTP ${reply.status}` : `${text} (HTTP ${reply.status})`;
  return new ReplyError(kind, `${reply.call}: ${reply.thing}: ${answer}${advice(kind)}`, {
    status: reply.status,
    text,
    retryAfterMs: reply.retryAfterMs,
  });
}

/**
 * The status of an error that came as a 200: an object of StatusCode (400 and above) and StatusDescription, or of a fault of the gateway's,
 * and nothing else. A fault tells no status: it counts as a gateway's that got no answer.
 */
export function disguisedStatus(value: unknown): number | undefined {
  if (!isObject(value)) return undefined;
  const keys = Object.keys(value).filter((key) => value[key] !== null);
  const fault = field(value, 'fault');
  if (keys.length === 1 && isObject(fault) && string(field(fault, 'faultstring')) !== undefined) return 502;
  if (!keys.every((key) => /^status(code|description)$/i.test(key))) return undefined;
  const status = Number(field(value, 'statuscode') ?? NaN);
  const isError = Number.isInteger(status) && status >= 400 && status <= 599;
  return isError && string(field(value, 'statusdescription')) !== undefined ? status : undefined;
}

const throttlingTexts = /spike arrest|rate limit|too many requests|quota violation|policies\.ratelimit/i;

/** Texts about an object that is not there. */
const missingTexts: readonly RegExp[] = [
  /\b(folder|file|version|syncpoint|virtual ?folder|directory|storage endpoint|user|owner)\b.*\b(not found|does not exist)/i,
  /already deleted|\b(invalid|unknown|mismatched) (parent ?)?(folder|file|version|syncpoint|storage endpoint) ?id\b/i,
];

/** In order; the first that matches decides. */
const textKinds: readonly (readonly [RegExp, RemoteErrorKind])[] = [
  [/already exists/i, 'exists'],
  [/purging active|unapproved ip address|reader permission|not an owner|private folder not allowed/i, 'forbidden'],
  [
    /\b(invalid|empty) (folder|file|directory) ?names?\b|\bfile ?name\b.*\b(invalid|not allowed|too long)|\bfile (type|extension)\b/i,
    'invalid',
  ],
  [/\b(file|content|entity|payload|request)\b.*\btoo (large|big)|(maximum|max) file size/i, 'too-large'],
  [/max limit on|quota|insufficient storage|not enough (storage|space)|storage (space|limit)/i, 'quota'],
  ...missingTexts.map((pattern) => [pattern, 'not-found'] as const),
  [
    /inactive user|user is (inactive|disabled)|invalid (api ?key|client|access token)|access token expired/i,
    'unauthenticated',
  ],
];

function kindOfReply(reply: ErrorReply, text: string): RemoteErrorKind {
  if (isThrottling(reply)) return 'throttled';
  if (reply.status >= 500 && reply.status !== 507) return 'unavailable';
  for (const [pattern, kind] of textKinds) if (pattern.test(text)) return kind;
  return statusKinds[reply.status] ?? 'protocol';
}

const statusKinds: Readonly<Record<number, RemoteErrorKind>> = {
  401: 'unauthenticated',
  402: 'quota',
  403: 'forbidden',
  404: 'not-found',
  406: 'forbidden',
  408: 'unavailable',
  409: 'conflict',
  410: 'not-found',
  412: 'conflict',
  413: 'too-large',
  507: 'quota',
};

function advice(kind: RemoteErrorKind): string {
  return kind === 'unauthenticated' ? '; check the connection with `syncplicityfs doctor`' : '';
}

/** The message within a JSON error body of any known shape. */
function jsonText(body: string): string | undefined {
  const start = body.trimStart();
  if (!start.startsWith('{') && !start.startsWith('[') && !start.startsWith('"')) return undefined;
  let value: unknown;
  try {
    value = parseLossless(start);
  } catch {
    return undefined;
  }
  if (typeof value === 'string') return value;
  const object = Array.isArray(value) ? (value[0] as unknown) : value;
  if (!isObject(object)) return undefined;
  const fault = field(object, 'fault');
  return (
    string(field(object, 'statusdescription')) ??
    (isObject(fault) ? string(field(fault, 'faultstring')) : string(fault)) ??
    string(field(object, 'error_description')) ??
    string(field(object, 'error')) ??
    string(field(object, 'message')) ??
    string(field(object, 'errorcode'))
  );
}

function field(object: Readonly<Record<string, unknown>>, lowerCaseName: string): unknown {
  const key = Object.keys(object).find((name) => name.toLowerCase() === lowerCaseName);
  return key === undefined ? undefined : object[key];
}

function string(value: unknown): string | undefined {
  return typeof value === 'string' && value.trim() !== '' ? value : undefined;
}

/** Text of a body that is no JSON: an HTML page loses its markup. */
function plainText(body: string): string {
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(body)?.[1];
  return title ?? body.replace(/<[^>]*>/g, ' ');
}

function oneLine(text: string): string {
  return printable(text).slice(0, 200);
}
