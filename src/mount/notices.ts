// What a person is told of each cause, in a line that names the thing, the cause and what to do. Part of the composition root; changes nothing.
import { shellWord } from '../base/shell-word.ts';
import { safeText, shownName } from '../desktop/safe-text.ts';
import type { RemoteErrorKind } from '../remote-drive.ts';

/** What to do, behind it, must still be seen. */
const REASON_LENGTH_MAX = 160;

/** What needs a person. A refusal is told apart by its kind: what there is to do is another each time. */
export type NoticeCause = `refused: ${RemoteErrorKind}` | 'conflict' | 'unfinished' | 'sign-in';

/** What is told of. */
export interface NoticeMatter {
  /** What it is about: the name of a file, without its path, or whose sign-in it is. */
  readonly name: string;
  /** The service's words, or the name that a file was kept under. */
  readonly detail: string;
}

/** Everything that is told of together. */
export interface NoticeSubject {
  readonly cause: NoticeCause;
  /** The last one of them, which stands for all. */
  readonly latest: NoticeMatter;
  readonly count: number;
  readonly mountpoint: string;
}

export interface Notice {
  readonly title: string;
  readonly text: string;
  readonly icon: string;
}

/** The notice of a cause. Its texts are plain, on one line, and cut where they are long. */
export function noticeOf(subject: NoticeSubject): Notice {
  const { title, icon, text } = wordsFor(subject);
  return { title, icon, text: safeText(text) };
}

function wordsFor({ cause, latest, count, mountpoint }: NoticeSubject): Notice {
  const name = shownName(latest.name);
  const others = count - 1;
  const many = others === 0 ? name : `${name} and ${others} more`;
  const are = others === 0 ? 'is' : 'are';
  const look = `syncplicityfs status ${shellWord(mountpoint)}`;
  switch (cause) {
    case 'sign-in':
      return {
        title: 'Syncplicity refuses the sign-in',
        icon: 'dialog-password',
        text: `${safeText(latest.name, REASON_LENGTH_MAX)}${others === 0 ? '' : ` and ${others} more`}: what needs the sign-in waits until it is mended: ${mending(latest)}`,
      };
    case 'conflict':
      return {
        title: 'Changed here and at Syncplicity',
        icon: 'dialog-warning',
        text:
          others === 0
            ? `${name}: theirs keeps the name, yours is kept as ${shownName(latest.detail)}; compare them and remove one`
            : `${many}: theirs keep their names, yours are kept beside them; ${look} names them`,
      };
    case 'unfinished':
      return {
        title: 'Unfinished files were found',
        icon: 'dialog-warning',
        text: `${many} ${others === 0 ? 'was' : 'were'} being written when the drive's process was killed; ${look} has what was written and how to keep it`,
      };
    case 'refused: quota':
      return {
        title: 'No room at Syncplicity',
        icon: 'drive-harddisk',
        text: `${many} ${are} not stored: Syncplicity has no room left; make some there, then: ${look} --retry /`,
      };
    default:
      return {
        title: 'Syncplicity refuses a change',
        icon: 'dialog-warning',
        text: `${many} ${are} kept on this machine only: ${reason(latest)}; to decide: ${look}`,
      };
  }
}

/** Why a sign-in is refused, with a command: where the reason has none, the one that looks into it, be it a connection's or a vault's. */
function mending({ detail }: NoticeMatter): string {
  if (detail.includes('syncplicityfs ')) return detail;
  return `${safeText(detail, REASON_LENGTH_MAX)}; look with: syncplicityfs doctor`;
}

/** Of the service's words what comes after the name, which is told already, and the call, which tells people nothing. */
function reason({ name, detail }: NoticeMatter): string {
  const [message, told] = [safeText(detail, Infinity), safeText(name, Infinity)];
  const at = message.lastIndexOf(told);
  const rest = at < 0 ? '' : message.slice(at + told.length).replace(/^["':\s]+/, '');
  return safeText(rest === '' ? message : rest, REASON_LENGTH_MAX);
}
