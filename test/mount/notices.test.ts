// The texts of notifications: one line each that names the thing, the cause and what to do.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { escapedMarkup, safeText, shownName } from '../../src/desktop/safe-text.ts';
import { noticeOf, type NoticeCause } from '../../src/mount/notices.ts';

const mountpoint = '/home/al/drive';
const causes: readonly NoticeCause[] = [
  'refused: quota',
  'refused: forbidden',
  'refused: conflict',
  'conflict',
  'unfinished',
  'sign-in',
];

it('one and many', () => {
  const latest = { name: 'plan.odt', detail: 'saveFile.php POST: file "plan.odt": Reader permission (HTTP 403)' };
  const text = (cause: NoticeCause, count: number, detail = latest.detail): string =>
    noticeOf({ cause, latest: { ...latest, detail }, count, mountpoint }).text;
  expect([
    text('refused: quota', 1),
    text('refused: quota', 10_000),
    text('refused: forbidden', 1),
    text('refused: too-large', 3, 'the vault takes no file of this size'),
    text('conflict', 1, 'plan (ours).odt'),
    text('conflict', 2),
    text('unfinished', 1),
    text('unfinished', 3),
    noticeOf({ cause: 'sign-in', latest: { name: 'work', detail: 'the login is over; sign in' }, count: 2, mountpoint })
      .text,
  ]).toEqual([
    '"plan.odt" is not stored: Syncplicity has no room left; make some there, then: syncplicityfs status /home/al/drive --retry /',
    '"plan.odt" and 9999 more are not stored: Syncplicity has no room left; make some there, then: syncplicityfs status /home/al/drive --retry /',
    '"plan.odt" is kept on this machine only: Reader permission (HTTP 403); to decide: syncplicityfs status /home/al/drive',
    '"plan.odt" and 2 more are kept on this machine only: the vault takes no file of this size; to decide: syncplicityfs status /home/al/drive',
    '"plan.odt": theirs keeps the name, yours is kept as "plan (ours).odt"; compare them and remove one',
    '"plan.odt" and 1 more: theirs keep their names, yours are kept beside them; syncplicityfs status /home/al/drive names them',
    '"plan.odt" was being written when the drive\'s process was killed; syncplicityfs status /home/al/drive has what was written and how to keep it',
    '"plan.odt" and 2 more were being written when the drive\'s process was killed; syncplicityfs status /home/al/drive has what was written and how to keep it',
    'work and 1 more: what needs the sign-in waits until it is mended: the login is over; sign in; look with: syncplicityfs doctor',
  ]);
});

it('are one bounded line of harmless characters, whatever names and reasons are', () => {
  const any = fc.string({ unit: 'binary', maxLength: 700 });
  fc.assert(
    fc.property(fc.constantFrom(...causes), any, any, fc.nat(), (cause, name, detail, more) => {
      const { title, text } = noticeOf({ cause, latest: { name, detail }, count: more + 1, mountpoint });
      expect(title).toMatch(/^[\w -]+$/);
      expect(Array.from(text).length).toBeLessThanOrEqual(400);
      expect(text).not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/u);
      expect(escapedMarkup(text)).not.toMatch(/[<>"']|&(?!amp;|lt;|gt;|quot;|#39;)/);
    }),
  );
});

it('a name keeps its beginning and its extension, and a command its words', () => {
  expect(shownName('short.txt')).toBe('"short.txt"');
  expect(shownName(`${'ä'.repeat(200)}.jpeg`)).toBe(`"${'ä'.repeat(40)}…${'ä'.repeat(14)}.jpeg"`);
  expect(shownName('invoice\u202efdp.exe')).toBe('"invoice?fdp.exe"');
  expect(shownName('a" is stored: "b')).toBe('"a? is stored: ?b"');
  expect(shownName('pay\u00ad\u{e0061}\u3164\u180e.pdf')).toBe('"pay????.pdf"');
  expect(shownName('نامه\u200cها ❤\ufe0f 👩\u200d💻.odt')).toBe('"نامه\u200cها ❤\ufe0f 👩\u200d💻.odt"');
  const { text } = noticeOf({
    cause: 'conflict',
    latest: { name: 'a', detail: '' },
    count: 2,
    mountpoint: "/mnt/al's drive",
  });
  expect(text).toContain(`syncplicityfs status '/mnt/al'\\''s drive' names`);
  expect(safeText('a\nb\u2029c\ud800', 99)).toBe('a?b?c?');
});
