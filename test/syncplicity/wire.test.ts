// Lenient parsing: every spelling the documents give a value reads the same, and nothing loses a digit.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RemoteError } from '../../src/remote-drive.ts';
import type { FolderId } from '../../src/remote-drive.ts';
import {
  readFile,
  readFolder,
  readRol,
  readSyncpoint,
  readToken,
  readVault,
} from '../../src/syncplicity/wire/entities.ts';
import { Fields } from '../../src/syncplicity/wire/fields.ts';
import { parseLossless, quoteLongIntegers } from '../../src/syncplicity/wire/lossless-json.ts';
import { bareId, jsonObject } from '../../src/syncplicity/wire/json-body.ts';
import { formatTimestamp, parseTimestamp } from '../../src/syncplicity/wire/timestamp.ts';

const userId = '7dae61c7-bf7a-499b-8ede-6481aba49ac9';

/** Runs what must fail as `protocol` and returns the message. */
function protocolError(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(RemoteError);
    expect((error as RemoteError).kind).toBe('protocol');
    return (error as RemoteError).message;
  }
  throw new Error('nothing was thrown');
}

test.each([
  ['{"a":9223372036854775807}', { a: '9223372036854775807' }],
  ['{"a":-9223372036854775808,"b":[9007199254740993]}', { a: '-9223372036854775808', b: ['9007199254740993'] }],
  ['{"a":"9007199254740993"}', { a: '9007199254740993' }],
  ['{"a":"say \\"9007199254740993\\" 9007199254740993"}', { a: 'say "9007199254740993" 9007199254740993' }],
  ['{"9007199254740993":1.1234567890123456789}', { '9007199254740993': 1.1234567890123457 }],
  ['{"a":1234567890123456e2}', { a: 1234567890123456e2 }],
  ['{"a":632699416638001}', { a: 632699416638001 }],
  ['\ufeff{"a":"\\ud800"}', { a: '\ud800' }],
])('no id loses a digit: %s', (text, value) => {
  expect(parseLossless(text)).toEqual(value);
});

test('quoting long integers changes nothing else in any JSON', () => {
  // JSON has no -0.
  const json = fc
    .jsonValue({ maxDepth: 4, noUnicodeString: false })
    .map((value) => JSON.parse(JSON.stringify(value)) as unknown);
  fc.assert(
    fc.property(json, fc.bigInt({ min: 10n ** 15n, max: 2n ** 63n }), fc.string(), (value, id, key) => {
      const text = `{"value":${JSON.stringify(value)},${JSON.stringify(key)}:${id}}`;
      const parsed = JSON.parse(quoteLongIntegers(text)) as Record<string, unknown>;
      if (key !== 'value') expect(String(parsed[key])).toBe(String(id));
      if (key !== 'value' && !/\d{16}/.test(JSON.stringify(value))) expect(parsed['value']).toEqual(value);
    }),
  );
});

test.each([
  ['2016-09-12T06:44:31.9000000Z', 1473662671, 900_000_000],
  ['2016-09-12T06:44:31.1234567Z', 1473662671, 123_456_700],
  ['2016-09-12T06:44:31.123456789123Z', 1473662671, 123_456_789],
  ['2016-09-12T06:44:31', 1473662671, 0],
  ['2016-09-12T06:44Z', 1473662640, 0],
  ['2016-09-12 06:44:31.5', 1473662671, 500_000_000],
  ['2016-09-12T08:44:31+02:00', 1473662671, 0],
  ['2016-09-12T01:44:31.25-0500', 1473662671, 250_000_000],
  ['1969-12-31T23:59:59.9Z', -1, 900_000_000],
  ['0001-01-01T00:00:00', -62135596800, 0],
  ['/Date(1491550811300)/', 1491550811, 300_000_000],
  ['/Date(1491567679760-0500)/', 1491567679, 760_000_000],
  ['\\/Date(-1)\\/', -1, 999_000_000],
])('reads the time %s', (text, seconds, nanoseconds) => {
  expect(parseTimestamp(text)).toEqual({ seconds, nanoseconds });
});

test.each(['', 'yesterday', '2016-13-01T00:00:00Z', '2016-09-12T25:00:00Z', '/Date(x)/', '/Date(99999999999999999)/'])(
  'does not take %j for a time',
  (text) => expect(parseTimestamp(text)).toBeUndefined(),
);

test('every time of 100 ns survives', () => {
  const times = fc.record({ ms: fc.integer({ min: -62135596800000, max: 253402300799000 }), ticks: fc.nat(9999) });
  fc.assert(
    fc.property(times, ({ ms, ticks }) => {
      const date = new Date(ms);
      const text = date.toISOString().replace('Z', `${String(ticks).padStart(4, '0')}Z`);
      const seconds = Math.floor(ms / 1000);
      const nanoseconds = (ms - seconds * 1000) * 1_000_000 + ticks * 100;
      expect(parseTimestamp(text)).toEqual({ seconds, nanoseconds });
    }),
  );
});

test('reads a file in any casing, with omitted defaults and unknown fields', () => {
  const expected = {
    kind: 'file',
    id: '743320707',
    name: 'a.zip',
    versionId: '9007199254740993',
    lengthBytes: 259228,
    modified: { seconds: 1473662671, nanoseconds: 900_000_000 },
    created: { seconds: 1473662671, nanoseconds: 900_000_000 },
  };
  const time = '2016-09-12T06:44:31.9000000Z';
  const file = {
    FileId: 743320707,
    Filename: 'a.zip',
    Length: 259228,
    LastWriteTimeUtc: time,
    LatestVersionId: '9007199254740993',
  };
  const lower = Object.fromEntries(Object.entries(file).map(([key, value]) => [key.toLowerCase(), String(value)]));
  for (const spelling of [file, lower, { ...file, Status: '2', ThumbnailUrl: null, New: { x: [1] } }]) {
    expect(readFile(spelling, 'x')).toEqual(expected);
  }
});

test.each([
  [0, true],
  [1, true],
  [2, true],
  ['1', true],
  [3, false],
  [4, false],
  [5, false],
  [6, false],
  ['3', false],
  [99, false],
])('a file with Status %j is shown: %j', (status, shown) => {
  expect(readFile({ FileId: 1, Filename: 'a', LatestVersionId: 2, Status: status }, 'x') !== undefined).toBe(shown);
});

test.each([
  [0, true],
  [1, true],
  [2, false],
  [4, false],
  [5, false],
  [6, false],
])('a folder with Status %j is shown: %j', (status, shown) => {
  expect(readFolder({ FolderId: 1, Name: 'a', Status: status }, 'x') !== undefined).toBe(shown);
});

test.each([
  [{ EffectivePermission: 1 }, 'read-write'],
  [{ EffectivePermission: 3, Permission: 1 }, 'read-only'],
  [{ EffectivePermission: 2 }, 'read-only'],
  [{ EffectivePermission: '1', Permission: 3 }, 'read-write'],
  [{ EffectivePermission: 0, Permission: 1 }, 'hidden'],
  [{ Permission: 1 }, 'read-write'],
  [{ Permission: 3 }, 'read-only'],
  [{ Permission: 9 }, 'read-only'],
  [{ Owner: { ID: userId.toUpperCase() } }, 'read-write'],
  [{ Owner: { Id: 'e3938cb5-e985-4fb1-be37-b4f2c8891477' } }, 'read-only'],
  [{}, 'read-only'],
  [{ Type: 7, Permission: 1 }, 'hidden'],
  [{ Status: 2, Permission: 1 }, 'hidden'],
])('a syncpoint with %j is %s', (fields, permission) => {
  const syncpoint = readSyncpoint(
    { Id: 1, Name: 'a', RootFolderId: 2, Mappings: { Mapping: {} }, ...fields },
    'x',
    userId,
  );
  expect(syncpoint?.permission ?? 'hidden').toBe(permission);
});

test.each([
  [undefined, undefined],
  [null, undefined],
  [{}, undefined],
  [{ Id: 5 }, '5'],
  [{ id: '9007199254740993' }, '9007199254740993'],
  [{ b: 1, a: { d: 2, c: 3 } }, '{"a":{"c":3,"d":2},"b":1}'],
  ['x', 'x'],
])('the mark of LastEvent %j is %j', (event, mark) => {
  expect(readSyncpoint({ Id: 1, Name: 'a', Permission: 1, LastEvent: event }, 'x', userId)?.lastEvent).toBe(mark);
});

test('reads a storage endpoint with decimals, strings and plain URLs', () => {
  expect(
    readVault(
      {
        ID: '{11111111-AAAA-1111-1111-111111111111}',
        Name: 'v',
        Urls: ['https://a', { url: 'https://b' }, { Url: '' }],
        SizeGb: '2',
        ConsumedGb: 0.5,
        RequiresStorageAuthentication: 'True',
      },
      'x',
    ),
  ).toEqual({
    id: '11111111-aaaa-1111-1111-111111111111',
    name: 'v',
    urls: ['https://a', 'https://b'],
    sizeBytes: 2 ** 31,
    consumedBytes: 2 ** 29,
    requiresStorageToken: true,
    isDefault: false,
  });
});

test.each([
  ['5099', 5099],
  [5099, 5099],
  ['', undefined],
  [0, undefined],
  ['soon', undefined],
  [null, undefined],
  [-1, undefined],
])('a token that expires in %j lives %j seconds', (expiresIn, seconds) => {
  expect(readToken({ access_token: 't', expires_in: expiresIn }, 'x').expiresInSeconds).toBe(seconds);
});

test('errors name the call and the field', () => {
  const where = 'folder.svc GET: Files[3]';
  expect(protocolError(() => readFile({ Filename: 'a', LatestVersionId: 1 }, where))).toBe(
    `${where}: field FileId is missing`,
  );
  expect(protocolError(() => readFile({ FileId: 'x1', Filename: 'a' }, where))).toBe(
    `${where}: field FileId should be an id, is "x1"`,
  );
  expect(protocolError(() => readFile([], where))).toBe(`${where}: expected an object, got an array`);
  expect(protocolError(() => readFile({ FileId: 1, Filename: 'a', LatestVersionId: 1, Length: -1 }, where))).toContain(
    'Length',
  );
  expect(protocolError(() => readFile({ FileId: 1.5, Filename: 'a' }, where))).toContain('FileId');
  expect(protocolError(() => readFile({ FileId: 1, Filename: {}, LatestVersionId: 1 }, where))).toContain(
    'Filename should be text, is an object',
  );
});

test('no document crashes the readers with anything but a protocol error', () => {
  const names = [
    'FileId',
    'fileid',
    'Filename',
    'Length',
    'Status',
    'LatestVersionId',
    'LastWriteTimeUtc',
    'FolderId',
    'Name',
    'Id',
    'Type',
    'Owner',
    'Parent',
    'Permission',
    'EffectivePermission',
    'RootFolderId',
    'LastEvent',
    'Urls',
    'SizeGb',
    'RequiresStorageAuthentication',
    'access_token',
    'expires_in',
    'ApigeeUrl',
    'IsHome',
    '__proto__',
    'constructor',
  ];
  const leaf = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom(null, 0, -1, 1e300, '1', '', '/Date(1)/', '2016-01-01', userId, [], {}),
  );
  const documents = fc.oneof(leaf, fc.dictionary(fc.constantFrom(...names), leaf));
  fc.assert(
    fc.property(documents, (document) => {
      const value = JSON.parse(JSON.stringify(document)) as unknown;
      for (const read of [
        readFile,
        readFolder,
        readVault,
        readToken,
        readRol,
        (v: unknown, w: string) => readSyncpoint(v, w, userId),
      ]) {
        try {
          read(value, 'call');
        } catch (error) {
          expect(error).toBeInstanceOf(RemoteError);
          expect((error as RemoteError).kind).toBe('protocol');
          expect((error as RemoteError).message).toContain('call');
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test('files survive the trip through every dialect of keys, numbers and times', () => {
  const files = fc.record({
    id: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
    version: fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }),
    // Any UTF-16, lone surrogates too: names are what other clients made them.
    name: fc.string({ unit: 'binary' }).map((text) => `${text}\ud83d`),
    length: fc.nat(Number.MAX_SAFE_INTEGER),
    ms: fc.integer({ min: 0, max: 4e12 }),
  });
  const dialects = fc.record({
    key: fc.constantFrom<(key: string) => string>(
      (k) => k,
      (k) => k.toLowerCase(),
      (k) => k.toUpperCase(),
      (k) => k.charAt(0).toLowerCase() + k.slice(1),
    ),
    strings: fc.boolean(),
    wcf: fc.boolean(),
  });
  fc.assert(
    fc.property(files, dialects, (file, dialect) => {
      const number = (value: bigint | number): string => (dialect.strings ? `"${value}"` : String(value));
      const time = dialect.wcf ? `/Date(${file.ms}+0200)/` : new Date(file.ms).toISOString();
      const text = `{"${dialect.key('FileId')}":${number(file.id)},"${dialect.key('Filename')}":${JSON.stringify(file.name)},"${dialect.key('LatestVersionId')}":${number(file.version)},"${dialect.key('Length')}":${number(file.length)},"${dialect.key('LastWriteTimeUtc')}":"${time}"}`;
      const seconds = Math.floor(file.ms / 1000);
      const stamp = { seconds, nanoseconds: (file.ms % 1000) * 1_000_000 };
      expect(readFile(parseLossless(text), 'x')).toEqual({
        kind: 'file',
        id: String(file.id),
        name: file.name,
        versionId: String(file.version),
        lengthBytes: file.length,
        modified: stamp,
        created: stamp,
      });
    }),
  );
});

test('a GUID of zeros and an id of zero say nothing', () => {
  const fields = Fields.of({ a: '00000000-0000-0000-0000-000000000000', b: 0, c: '000' }, 'x');
  expect([fields.guid('a'), fields.id('b'), fields.id('c')]).toEqual([undefined, undefined, undefined]);
});

test('a time that is sent is read back to 100 ns', () => {
  const seconds = fc.integer({ min: -62_135_596_800, max: 253_402_300_799 });
  fc.assert(
    fc.property(seconds, fc.integer({ min: 0, max: 999_999_999 }), (whole, nanoseconds) => {
      const text = formatTimestamp({ seconds: whole, nanoseconds });
      expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);
      expect(parseTimestamp(text)).toEqual({ seconds: whole, nanoseconds: Math.floor(nanoseconds / 100) * 100 });
    }),
  );
});

test('a time that the service cannot hold is its nearest', () => {
  expect(formatTimestamp({ seconds: -1e12, nanoseconds: 5 })).toBe('0001-01-01T00:00:00.0000000Z');
  expect(formatTimestamp({ seconds: 1e12, nanoseconds: 5 })).toBe('9999-12-31T23:59:59.9999999Z');
});

test('an object that is sent is JSON with ids as the bare numbers they are', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), (name, id) => {
      const text = jsonObject({ Name: name, Id: bareId(String(id) as FolderId), Files: [], Stored: true, Status: 6 });
      expect(text).toContain(`"Id":${id},`);
      expect(JSON.parse(text)).toEqual({ Name: name, Id: Number(id), Files: [], Stored: true, Status: 6 });
    }),
  );
  for (const id of ['0', '', '1.5', '-1', '1"', 'abc']) {
    expect(() => bareId(id as FolderId)).toThrow(RemoteError);
  }
});
