// The page's connection to its server: the token, one stream of updates, and actions. Promises: the token leaves the address bar at once and
// is sent in a header only; nothing is asked while nobody looks at the page; what is lost is sought again.
import type { Action, ActionOutcome, Problem, Update } from '../view.ts';

const TOKEN_KEY = 'syncplicityfs-token';
/** An update comes every second. */
const SILENCE_MS = 4_000;
const RETRY_MS = [500, 1_000, 2_000, 4_000];

export type LinkState =
  | 'connecting'
  | 'live'
  | 'lost'
  /** Nobody looks. */
  | 'hidden'
  /** Without a token, or with one of an earlier run. */
  | 'refused';

export interface ConnectionEvents {
  onUpdate(update: Update): void;
  onState(state: LinkState): void;
}

export class Connection {
  readonly #events: ConnectionEvents;
  #token: string | null;
  #stream: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;

  constructor(events: ConnectionEvents) {
    this.#events = events;
    this.#token = takeToken();
  }

  start(): void {
    document.addEventListener('visibilitychange', () => this.#follow());
    // Opened again in the same tab, with the token of another run.
    window.addEventListener('hashchange', () => {
      const token = takeToken();
      if (token === this.#token) return;
      this.#token = token;
      this.#leave();
      this.#follow();
    });
    this.#follow();
  }

  /** Has a mount do something. Rejects with a line for the user. */
  async act(action: Action): Promise<ActionOutcome> {
    const response = await this.#fetch('/api/actions', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(action),
    }).catch((error: unknown) => {
      throw new Error('The dashboard does not answer: nothing was done', { cause: error });
    });
    const answer = (await response.json()) as ActionOutcome | Problem;
    if ('problem' in answer) throw new Error(answer.problem);
    return answer;
  }

  #follow(): void {
    if (document.hidden) {
      this.#leave();
      this.#events.onState('hidden');
    } else if (this.#stream === undefined) void this.#read();
  }

  #leave(): void {
    clearTimeout(this.#retry);
    this.#stream?.abort();
    this.#stream = undefined;
  }

  /** Reads updates until the stream ends, and comes again. Never rejects. */
  async #read(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.#token === null) {
      this.#events.onState('refused');
      return;
    }
    const stream = new AbortController();
    this.#stream = stream;
    if (this.#failures === 0) this.#events.onState('connecting');
    let silence: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(silence);
      silence = setTimeout(() => stream.abort(), SILENCE_MS);
    };
    try {
      heard();
      const response = await this.#fetch('/api/updates', { signal: stream.signal });
      if (response.status === 401) {
        this.#stream = undefined;
        this.#events.onState('refused');
        return;
      }
      if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`);
      for await (const line of lines(response.body)) {
        if (this.#stream !== stream) return;
        heard();
        this.#failures = 0;
        this.#events.onState('live');
        this.#events.onUpdate(JSON.parse(line) as Update);
      }
    } catch (error) {
      // Said below: whatever broke it, the stream is over.
      if (this.#stream === stream) console.debug('the stream of updates ended:', error);
    } finally {
      clearTimeout(silence);
    }
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#events.onState('lost');
    const delayMs = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)];
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#follow(), delayMs);
  }

  #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${this.#token ?? ''}` };
    return fetch(path, { ...init, headers, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  }
}

/** The token of the address, which is cleared of it; else that of this tab. */
function takeToken(): string | null {
  const token = location.hash.slice(1);
  if (/^[\w-]{20,}$/.test(token)) {
    sessionStorage.setItem(TOKEN_KEY, token);
    history.replaceState(null, '', location.pathname);
  }
  return sessionStorage.getItem(TOKEN_KEY);
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}
