// Asking at a terminal: what is shown, what is not, and how the terminal is left; at last on a real one.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Interrupted, Prompt } from '../../src/cli/prompt.ts';
import { programFile, User } from './program.ts';
import { lacks } from '../machine.ts';

class FakeTerminal {
  readonly input = Object.assign(new PassThrough(), {
    setRawMode: (isRaw: boolean) => {
      this.isRaw = isRaw;
      return this.input;
    },
  });
  shown = '';
  isRaw = false;
  readonly output = { write: (text: string) => void (this.shown += text) };
}

let terminal: FakeTerminal;
let prompt: Prompt;
beforeEach(() => {
  terminal = new FakeTerminal();
  prompt = new Prompt(terminal as unknown as ConstructorParameters<typeof Prompt>[0]);
});

describe('a question', () => {
  it('shows what is typed, and lets it be corrected', async () => {
    const answer = prompt.ask('Name: ');
    terminal.input.write('  ab');
    terminal.input.write('\u007fcd\u001b[D\r');
    expect(await answer).toBe('acd');
    expect(terminal.shown).toBe('Name:   ab\b \bcd\n');
    expect(terminal.isRaw).toBe(false);
  });

  it('shows nothing of a hidden answer, not even its length', async () => {
    const answer = prompt.ask('Secret: ', { hidden: true });
    terminal.input.write('wrong\u0015s3\u007f3cr\u00e9t\r');
    expect(await answer).toBe('s3cr\u00e9t');
    expect(terminal.shown).toBe('Secret: \n');
  });

  it('is withdrawn when nobody needs the answer any more, and the terminal is as it was', async () => {
    const withdrawn = new AbortController();
    const answer = prompt.ask('Secret: ', { hidden: true, signal: withdrawn.signal });
    terminal.input.write('half');
    withdrawn.abort(new Error('answered otherwise'));
    await expect(answer).rejects.toThrow('answered otherwise');
    expect(terminal.isRaw).toBe(false);
    expect(terminal.input.listenerCount('data')).toBe(0);
    await expect(prompt.ask('Again: ', { signal: withdrawn.signal })).rejects.toThrow('answered otherwise');
  });

  it('takes a character that comes in two pieces, and lines pasted together', async () => {
    const first = prompt.ask('1: ', { hidden: true });
    const bytes = Buffer.from('\u00e9\rtwo\r');
    terminal.input.write(bytes.subarray(0, 1));
    terminal.input.write(bytes.subarray(1));
    expect(await first).toBe('\u00e9');
    expect(await prompt.ask('2: ')).toBe('two');
  });

  it.each([
    ['Ctrl-C', (): void => void terminal.input.write('abc\u0003')],
    ['Ctrl-D', (): void => void terminal.input.write('\u0004')],
    ['the end of the input', (): void => void terminal.input.end()],
  ])('is left with %s, and the terminal as it was', async (_name, leave) => {
    const answer = prompt.ask('Name: ');
    leave();
    await expect(answer).rejects.toBeInstanceOf(Interrupted);
    expect(terminal.isRaw).toBe(false);
  });
});

describe('a conversation', () => {
  it('has the terminal show nothing by itself from its first question to its last', async () => {
    const between: boolean[] = [];
    const done = prompt.conversation(async () => {
      await prompt.ask('1: ');
      between.push(terminal.isRaw);
      prompt.say('now 2');
      return prompt.ask('2: ', { hidden: true });
    });
    terminal.input.write('one\rsecret\r');
    expect(await done).toBe('secret');
    expect(between).toEqual([true]);
    expect(terminal.shown).toBe('1: one\nnow 2\n2: \n');
    expect(terminal.isRaw).toBe(false);
  });

  it('leaves the terminal as it was when the user leaves', async () => {
    const done = prompt.conversation(() => prompt.ask('1: '));
    terminal.input.write('\u0003');
    await expect(done).rejects.toBeInstanceOf(Interrupted);
    expect(terminal.isRaw).toBe(false);
  });
});

describe.skipIf(lacks('script'))('connections add on a terminal', () => {
  let user: User;
  beforeEach(() => (user = new User()));
  afterEach(() => user.remove());

  /** Types each answer when its question is shown; resolves with the exit code and all that the terminal showed. */
  async function converse(
    args: string,
    answers: readonly (readonly [question: string, answer: string])[],
  ): Promise<{ code: number; shown: string }> {
    const child = spawn('script', ['-qec', `"${process.execPath}" "${programFile}" ${args}`, '/dev/null'], {
      env: user.environment,
    });
    let shown = '';
    let from = 0;
    const left = [...answers];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      const [next] = left;
      const at = next === undefined ? -1 : shown.indexOf(next[0], from);
      if (next === undefined || at < 0) return;
      from = at + next[0].length;
      left.shift();
      child.stdin.write(next[1]);
    });
    const [code] = (await once(child, 'close')) as [number];
    return { code, shown };
  }

  it('asks for each field, again for what cannot be right, and shows no secret', async () => {
    const { code, shown } = await converse('connections add -p syncplicity --name typed --no-verify', [
      ['App Key:', 'key-1\r'],
      ['App Secret:', '\r'],
      ['this is needed', 'typed-secret-1\r'],
      ['Application Token:', 'typed-secret-2\r'],
      ['Storage token', '\r'],
      ['e-mail', 'me@example.com\r'],
      ['Gateway', 'http://example.com\r'],
      ['is an http: address', 'https://api.eu.syncplicity.com\r'],
      ['act for', '\r'],
    ]);
    expect(shown).not.toContain('typed-secret');
    expect(code).toBe(0);
    expect(shown).toMatch(/Name {5}typed/);
    const file = JSON.parse(readFileSync(join(user.home, '.config/syncplicityfs/connections.json'), 'utf8')) as unknown;
    expect(file).toMatchObject({
      connections: [
        {
          auth: {
            client_id: 'key-1',
            client_secret: 'typed-secret-1',
            app_token: 'typed-secret-2',
            email: 'me@example.com',
            api_url: 'https://api.eu.syncplicity.com',
          },
        },
      ],
    });
  });

  it('ends at Ctrl-C with a line, and stores nothing', async () => {
    const { code, shown } = await converse('connections add -p fs', [['Directory', '/us\u0003']]);
    expect(code).toBe(1);
    expect(shown).toContain('interrupted: nothing was changed');
    expect((await user.run(['connections', 'list', '--json'])).stdout).toBe('[]\n');
  });
});
