// Options as people write them, on the command line and in fstab.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearNames } from '../../src/base/near-names.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/base/quantities.ts';
import { UsageError } from '../../src/base/usage-error.ts';
import {
  createMountConfig,
  defaultTransport,
  defaults,
  mountOptionSpecs,
  parseMountOptions,
  parseSource,
} from '../../src/config.ts';

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['4096', 4096],
    ['1k', 1024],
    ['512M', 512 * 2 ** 20],
    ['10G', 10 * 2 ** 30],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['2 tb', 2 * 2 ** 40],
  ])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes));

  it.each(['', 'G', '-1', '10X', '1e9', '10 G B', '99999999T', '0x10', 'NaN'])('refuses "%s"', (text) => {
    expect(() => parseSize(text)).toThrow(UsageError);
  });

  it('reads whole numbers of every unit', () => {
    fc.assert(
      fc.property(fc.nat(4095), fc.constantFrom('', 'K', 'M', 'G', 'T'), (count, unit) => {
        expect(parseSize(`${count}${unit}`)).toBe(count * 1024 ** ' KMGT'.indexOf(unit === '' ? ' ' : unit));
      }),
    );
  });

  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_048_575, '1.0 MiB'],
    [150 * 2 ** 20, '150 MiB'],
    [2 ** 50, '1.0 PiB'],
  ])('shows %d as %s', (bytes, text) => expect(formatSize(bytes)).toBe(text));
});

describe('durations', () => {
  it.each([
    ['30s', 30_000],
    ['30', 30_000],
    ['250ms', 250],
    ['5m', 300_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms));

  it.each(['', '5 minutes', '-1s', 'm', '25d'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(UsageError);
  });

  it.each([
    [0, '0 s'],
    [59_999, '59 s'],
    [320_000, '5 min 20 s'],
    [3_600_000, '1 h'],
    [86_400_000 + 3_600_000 * 2 + 5_000, '1 d 2 h'],
  ])('shows %d ms as %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
});

describe('-o', () => {
  it('reads a line of fstab', () => {
    expect(
      parseMountOptions([
        'ro,noauto,user,_netdev,x-systemd.automount,allow_other,uid=1000,umask=077,noexec,cache_size=2G',
      ]),
    ).toEqual({
      readOnly: true,
      allowOther: true,
      uid: 1000,
      umask: 0o077,
      cacheSizeBytes: 2 * 2 ** 30,
      kernelOptions: ['noexec'],
    });
  });

  it('lets the later one win', () => {
    expect(parseMountOptions(['ro,noexec,uid=1', 'rw,exec,uid=2'])).toEqual({
      readOnly: false,
      uid: 2,
      kernelOptions: ['exec'],
    });
  });

  it('reads what is about writing', () => {
    const text =
      'rw,write_through,store_mtime,delete=permanently,settle=250ms,uploads=4,stage_reserve=5G,move_max_files=0,move_max_size=200M,_netdev,nofail';
    expect(parseMountOptions([text])).toEqual({
      readOnly: false,
      writeThrough: true,
      storesTimes: true,
      removal: 'permanently',
      settleMs: 250,
      uploadsMax: 4,
      stageReserveBytes: 5 * 2 ** 30,
      exdevFilesMax: 0,
      exdevBytesMax: 200 * 2 ** 20,
    });
  });

  it.each([
    ['10M', 10 * 2 ** 20, 10 * 2 ** 20],
    ['512k', 512 * 2 ** 10, 512 * 2 ** 10],
    ['10M:1M', 10 * 2 ** 20, 2 ** 20],
    ['off:1.5M', 0, 1.5 * 2 ** 20],
    ['100', 100 * 2 ** 10, 100 * 2 ** 10],
    ['2048B', 2048, 2048],
    ['off', 0, 0],
    ['0', 0, 0],
  ])('reads bwlimit=%s as rclone and rsync do', (text, upBytesPerSecond, downBytesPerSecond) => {
    expect(parseMountOptions([`bwlimit=${text}`])).toEqual({ bandwidth: { upBytesPerSecond, downBytesPerSecond } });
  });

  it.each([
    ['9470', '127.0.0.1', 9470],
    [':0', '127.0.0.1', 0],
    ['localhost:9470', 'localhost', 9470],
    ['0.0.0.0:80', '0.0.0.0', 80],
    ['[::1]:9470', '::1', 9470],
    ['drive.example:9470', 'drive.example', 9470],
  ])('reads metrics=%s as an address to listen at', (text, host, port) => {
    expect(parseMountOptions([`metrics=${text}`])).toEqual({ metrics: { host, port } });
  });

  it('reads what mount.fuse makes of a line of fstab', () => {
    expect(parseMountOptions(['rw,uid=1000,dev,suid'])).toEqual({ readOnly: false, uid: 1000 });
    expect(parseMountOptions(['rw,noexec,nosuid,nodev'])).toEqual({
      readOnly: false,
      kernelOptions: ['noexec', 'nosuid', 'nodev'],
    });
  });

  it('takes commas and backslashes in values that are escaped', () => {
    expect(parseMountOptions(['cache_dir=/a\\,b\\\\c,ro'])).toEqual({ cacheDirectory: '/a,b\\c', readOnly: true });
  });

  it.each([
    ['cachesize=1G', 'cache_size'],
    ['allow-other', 'allow_other'],
    ['umsak=022', 'umask'],
    ['noexe', 'noexec'],
    ['writethrough', 'write_through'],
  ])('names what "%s" may have meant', (text, meant) => {
    expect(() => parseMountOptions([text])).toThrow(
      expect.objectContaining({ name: 'UsageError', hint: expect.stringContaining(meant) as unknown }),
    );
  });

  it.each([
    'ro=1',
    'uid',
    'uid=',
    'uid=me',
    'uid=4294967295',
    'umask=8',
    'umask=1777',
    'memory=1M',
    'instance=../x',
    'op_timeout=1ms',
    'write_through=yes',
    'uploads=0',
    'uploads=65',
    'uploads=1.5',
    'settle=-1s',
    'move_max_files=many',
    'metrics=',
    'metrics=on',
    'metrics=65536',
    'metrics=localhost',
    'metrics=::1:9470',
    'metrics=[drive]:9470',
    'metrics=http://127.0.0.1:9470',
    'bwlimit=fast',
    'bwlimit=1M:2M:3M',
    'bwlimit=10M:',
    'bwlimit=08:00\\,512k 12:00\\,10M',
    'bwlimit=100B',
  ])('refuses %s', (text) => expect(() => parseMountOptions([text])).toThrow(UsageError));

  it('reads back any set of options, in any order', () => {
    const options = fc.uniqueArray(
      fc.oneof(
        fc.nat(2 ** 31).map((id) => [`uid=${id}`, { uid: id }] as const),
        fc.nat(0o777).map((mask) => [`umask=${mask.toString(8)}`, { umask: mask }] as const),
        fc.integer({ min: 1, max: 500 }).map((n) => [`cache_size=${n}M`, { cacheSizeBytes: n * 2 ** 20 }] as const),
        fc.constant(['allow_other', { allowOther: true }] as const),
        fc
          .stringMatching(/^\/[a-z,\\]{1,9}$/)
          .map((p) => [`ca_file=${p.replace(/[,\\]/g, '\\$&')}`, { caFile: p }] as const),
      ),
      { selector: ([text]) => text.split('=')[0] },
    );
    fc.assert(
      fc.property(options, (chosen) => {
        const expected = Object.assign({}, ...chosen.map(([, value]) => value)) as object;
        expect(parseMountOptions([chosen.map(([text]) => text).join(',')])).toEqual(expected);
      }),
    );
  });

  it('never throws anything but a UsageError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseMountOptions([text]);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});

describe('CONNECTION:/PATH', () => {
  it.each([
    ['work', 'work', '/'],
    ['work:/', 'work', '/'],
    ['work:/a/b/', 'work', '/a/b'],
    ['work:/a/../b', 'work', '/b'],
    ['a:b', 'a:b', '/'],
    ['My Computer (x):/y:/z', 'My Computer (x)', '/y:/z'],
  ])('%s', (text, connection, path) => expect(parseSource(text)).toEqual({ connection, path }));

  it('refuses a path without a connection', () => expect(() => parseSource(':/a')).toThrow(UsageError));
});

describe('the config', () => {
  const directories = { config: '/c', state: '/s', cache: '/k', runtime: ['/r'], thumbnails: '/t' } as const;
  const what = {
    mountpoint: '/m',
    source: { kind: 'demo' },
    connectionName: 'demo',
    deviceName: 'demo',
    foreground: false,
    logFile: '/l',
  } as const;

  it('speaks to the kernel itself where that is Linux, unless told otherwise', () => {
    expect([defaultTransport('linux'), defaultTransport('darwin')]).toEqual(['kernel', 'fuse-native']);
    expect(parseMountOptions(['transport=fuse-native'])).toEqual({ transport: 'fuse-native' });
    expect(() => parseMountOptions(['transport=none'])).toThrow('"none" is no transport');
  });

  it('shows notifications unless told otherwise', () => {
    expect(parseMountOptions(['notifications=off'])).toEqual({ notifications: 'off' });
    expect(() => parseMountOptions(['notifications=on'])).toThrow('"on" is neither auto nor off');
  });

  it('takes defaults for all that is left out, and is frozen', () => {
    const config = createMountConfig(what, {}, directories);
    expect(config).toEqual({
      ...what,
      readOnly: false,
      writeThrough: false,
      storesTimes: false,
      removal: 'trash',
      managesSyncpoints: false,
      settleMs: 1_000,
      uploadsMax: 8,
      stageReserveBytes: 2 ** 30,
      exdevFilesMax: 1_000,
      exdevBytesMax: 2 ** 30,
      allowOther: false,
      uid: undefined,
      gid: undefined,
      umask: defaults.umask,
      kernelOptions: [],
      cacheDirectory: '/k',
      cacheSizeBytes: defaults.cacheSizeBytes,
      memoryBytes: defaults.memoryBytes,
      stateDirectory: '/s',
      runtimeDirectories: ['/r'],
      configDirectory: '/c',
      asUser: undefined,
      instance: undefined,
      opTimeoutMs: defaults.opTimeoutMs,
      listingLifetimeMs: defaults.listingLifetimeMs,
      pollIntervalMs: 15_000,
      backstopLifetimeMs: 900_000,
      callsPerSecond: 15,
      callsPerHour: 10_800,
      bandwidth: { upBytesPerSecond: 0, downBytesPerSecond: 0 },
      transport: defaultTransport(),
      notifications: 'auto',
      caFile: undefined,
    });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('has each option under one name and one flag', () => {
    const names = mountOptionSpecs.flatMap(({ name, flags }) => [name, flags]);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('near names', () => {
  it('finds what differs by two letters, nearest first', () => {
    expect(nearNames('cach_size', ['cache_dir', 'cache_sizes', 'cache_size'])).toEqual(['cache_size', 'cache_sizes']);
  });
  it('counts two letters in the wrong order as one mistake', () => {
    expect(nearNames('wrok', ['work', 'wood'])).toEqual(['work']);
    expect(nearNames('lsit', ['list', 'last'])).toEqual(['list']);
  });
  it('finds nothing near what is far', () => expect(nearNames('zzzzzz', ['umask'])).toEqual([]));
});
