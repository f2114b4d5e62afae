// The form reader: any boundary, any parts, cut into any pieces, always the same parts; what is malformed is refused.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundaryOf, MalformedForm, readForm } from '../../src/emulator/multipart.ts';
import { formBody } from './upload-client.ts';

interface ReadPart {
  readonly name: string;
  readonly fileName: string | undefined;
  readonly value: string;
}

async function read(pieces: readonly Uint8Array[], boundary: string): Promise<ReadPart[]> {
  const parts: ReadPart[] = [];
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const piece of pieces) yield await Promise.resolve(piece);
  }
  await readForm(body(), boundary, ({ name, fileName }) => {
    const taken: Uint8Array[] = [];
    return {
      take: (bytes) => void taken.push(Uint8Array.from(bytes)),
      end: () => void parts.push({ name, fileName, value: Buffer.concat(taken).toString('latin1') }),
    };
  });
  return parts;
}

/** Bytes likely to look like a delimiter. */
const value = fc.array(fc.constantFrom('\r', '\n', '-', 'b', 'o', 'x', '\0', '\u00ff'), { maxLength: 40 });
const boundary = fc.constantFrom('b', 'bo', '-------8d4', 'x'.repeat(70));

test('cut anywhere, the parts are the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      boundary,
      fc.array(value, { maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
      async (chosen, values, sizes) => {
        const parts = values.map((characters, index) => ({
          name: `p${index}`,
          value: Buffer.from(characters.join(''), 'latin1'),
        }));
        // A delimiter within a part's bytes ends the part: clients choose boundaries that do not occur.
        fc.pre(!parts.some((part) => `\r\n${part.value.toString('latin1')}`.includes(`\r\n--${chosen}`)));
        const body = formBody(parts, chosen);
        const pieces: Uint8Array[] = [];
        for (let at = 0, turn = 0; at < body.byteLength; turn++) {
          const size = sizes[turn % sizes.length] ?? 1;
          pieces.push(body.subarray(at, at + size));
          at += size;
        }
        expect(await read(pieces, chosen)).toEqual(
          parts.map((part) => ({ name: part.name, fileName: undefined, value: part.value.toString('latin1') })),
        );
      },
    ),
  );
});

describe('what else the RFCs allow', () => {
  test.each<[string, string, ReadPart[]]>([
    ['no parts', '--b--', []],
    [
      'preamble and epilogue',
      'words\r\n--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--b--\r\nmore',
      [part('1')],
    ],
    ['blanks after the boundary', '--b \t\r\ncontent-disposition:form-data;name="a"\r\n\r\n1\r\n--b--', [part('1')]],
    ['escapes in a file name', disposition('; filename="q\\"\\\\.txt"'), [part('1', 'q"\\.txt')]],
    ['a file name in UTF-8', disposition('; filename="ä 中.txt"'), [part('1', 'ä 中.txt')]],
    ['an encoded file name', disposition('; filename="x"; filename*=UTF-8\'\'%C3%A4'), [part('1', 'ä')]],
  ])('%s', async (_what, body, expected) => {
    expect(await read([Buffer.from(body)], 'b')).toEqual(expected);
  });

  test.each<[string, string | undefined]>([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data;charset=utf-8;boundary="a b c"', 'a b c'],
    ['multipart/form-data; boundary=-------8d4', '-------8d4'],
    ['multipart/form-data', undefined],
    ['multipart/mixed; boundary=abc', undefined],
    [`multipart/form-data; boundary=${'x'.repeat(71)}`, undefined],
  ])('the boundary of %j', (header, expected) => {
    expect(boundaryOf(header)).toBe(expected);
  });
});

test.each<[string, string]>([
  ['an end before the closing boundary', '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b\r\n'],
  ['an end within a part', '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'],
  ['no boundary', 'text'],
  ['text after the boundary', '--bx\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--'],
  ['a part without a disposition', '--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--'],
  ['a part without a name', '--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--'],
  ['a header without a colon', '--b\r\nContent-Disposition form-data; name="a"\r\n\r\n1\r\n--b--'],
  ['an encoding that is none', disposition('\r\nContent-Transfer-Encoding: base64')],
  ['a badly encoded file name', disposition("; filename*=UTF-8''%C3")],
  ['a head without end', `--b\r\nX: ${'x'.repeat(20_000)}`],
])('%s is malformed', async (_what, body) => {
  await expect(read([Buffer.from(body)], 'b')).rejects.toThrow(MalformedForm);
});

function part(text: string, fileName?: string): ReadPart {
  return { name: 'a', fileName, value: text };
}

function disposition(more: string): string {
  return `--b\r\nContent-Disposition: form-data; name="a"${more}\r\n\r\n1\r\n--b--`;
}
