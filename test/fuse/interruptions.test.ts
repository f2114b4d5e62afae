// Which signals end what a program waits for, by what the kernel tells of its thread.
import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { tellsOfEnding } from '../../src/fuse/kernel/interruptions.ts';

type SignalName = keyof typeof constants.signals;

function status(sets: {
  own?: SignalName[];
  shared?: SignalName[];
  blocked?: SignalName[];
  caught?: SignalName[];
}): string {
  const text = (names: SignalName[] = []): string =>
    names
      .reduce((set, name) => set | (1n << BigInt(constants.signals[name] - 1)), 0n)
      .toString(16)
      .padStart(16, '0');
  return [
    'Name:\tls',
    `SigPnd:\t${text(sets.own)}`,
    `ShdPnd:\t${text(sets.shared)}`,
    `SigBlk:\t${text(sets.blocked)}`,
    'SigIgn:\t0000000000001000',
    `SigCgt:\t${text(sets.caught)}`,
    'CapInh:\t0000000000000000',
    '',
  ].join('\n');
}

describe('a wait', () => {
  it.each<SignalName>(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'])('ends with %s, caught or not', (name) => {
    expect(tellsOfEnding(status({ shared: [name] }))).toBe(true);
    expect(tellsOfEnding(status({ shared: [name], caught: [name] }))).toBe(true);
  });

  it.each<SignalName>(['SIGALRM', 'SIGUSR1', 'SIGPROF', 'SIGIO'])(
    'ends with %s only where that ends the program',
    (name) => {
      expect(tellsOfEnding(status({ shared: [name] }))).toBe(true);
      expect(tellsOfEnding(status({ own: [name], caught: [name] }))).toBe(false);
    },
  );

  it.each<SignalName>(['SIGSTOP', 'SIGTSTP', 'SIGCONT', 'SIGCHLD', 'SIGURG', 'SIGWINCH'])('goes on with %s', (name) => {
    expect(tellsOfEnding(status({ shared: [name] }))).toBe(false);
    expect(tellsOfEnding(status({ shared: [name], caught: [name] }))).toBe(false);
  });

  it('ends with what comes beside a harmless signal', () => {
    expect(tellsOfEnding(status({ own: ['SIGKILL'], shared: ['SIGALRM'], caught: ['SIGALRM'] }))).toBe(true);
  });

  it('goes on with a blocked signal, and with none at all, as for a debugger', () => {
    expect(tellsOfEnding(status({ shared: ['SIGINT'], blocked: ['SIGINT'] }))).toBe(false);
    expect(tellsOfEnding(status({}))).toBe(false);
  });

  it('ends where the kernel does not tell', () => {
    expect(tellsOfEnding('')).toBe(true);
    expect(tellsOfEnding('Name:\tls\nSigPnd:\t0\n')).toBe(true);
  });
});
