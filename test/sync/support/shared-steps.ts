// What can happen to a tree that both sides change: one step of programs here, of others at the service, or of what lies between them.
import type { RemoteErrorKind } from '../../../src/remote-drive.ts';
import type { CallKind } from './shared-drive.ts';

/** Another spelling of the same name: in capitals or small letters, its accents composed or not. */
export type Spelling = 'recase' | 'respell';

/** `pick` chooses among what is there, `into` among folders, `other` among what is of the same kind, `held` among what programs have open. */
export type HereStep =
  | { readonly here: 'create' | 'mkdir'; readonly into: number; readonly name: string }
  | {
      readonly here: 'write' | 'append' | 'unlink' | 'removeAll' | 'read' | 'utimes' | 'readdir' | Spelling;
      readonly pick: number;
    }
  | { readonly here: 'rename'; readonly pick: number; readonly into: number; readonly name: string }
  | { readonly here: 'replace' | 'exchange'; readonly pick: number; readonly other: number };

export type HeldStep =
  | { readonly open: 'to read' | 'to write' | 'to append' | 'emptied'; readonly pick: number }
  | { readonly open: 'new'; readonly into: number; readonly name: string }
  | { readonly held: number; readonly does: 'append' | 'cut' | 'start' | 'read' | 'sync' | 'close' };

export type ThereStep =
  | { readonly there: 'add' | 'mkdir'; readonly into: number; readonly name: string }
  | { readonly there: 'write' | 'remove' | 'removeAll' | 'replace' | Spelling; readonly pick: number }
  | { readonly there: 'rename'; readonly pick: number; readonly name: string }
  | { readonly there: 'move'; readonly pick: number; readonly into: number };

export type Step =
  | HereStep
  | HeldStep
  | ThereStep
  | { readonly pass: number }
  | { readonly pusher: 'pause' | 'resume' | 'flush' }
  | { readonly list: number }
  /** `killed`: as after SIGKILL; `ended`: all is closed, and the drive unmounted without waiting. */
  | { readonly restart: 'killed' | 'ended' }
  | { readonly fail: CallKind; readonly how: RemoteErrorKind }
  | { readonly lose: CallKind };

/** One of several, whatever the number. */
export function pick<T>(from: readonly T[], index: number): T | undefined {
  return from[index % Math.max(1, from.length)];
}

export function spelledOtherwise(name: string, how: Spelling): string {
  if (how === 'recase') return name === name.toUpperCase() ? name.toLowerCase() : name.toUpperCase();
  return name === name.normalize('NFC') ? name.normalize('NFD') : name.normalize('NFC');
}
