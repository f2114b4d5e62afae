// D-Bus messages as bytes: what goes out comes back, in the other byte order too, and nonsense is an error in no time.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeMessage, encodeCall, messageLength } from '../../src/desktop/dbus-wire.ts';

const call = {
  destination: 'org.freedesktop.Notifications',
  path: '/org/freedesktop/Notifications',
  interface: 'org.freedesktop.Notifications',
  member: 'Notify',
} as const;

it('a call of any texts has the length it says, and reads back as it was written', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 50 });
  const number = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(text, fc.array(text), fc.array(fc.tuple(text, text)), number, (one, list, pairs, signed) => {
      const hints = pairs.map(([name, value]) => [name, { signature: 's', value }]);
      const bytes = encodeCall({ ...call, signature: 'sasa{sv}iy', body: [one, list, hints, signed, 7] }, 1);
      expect(messageLength(bytes)).toBe(bytes.length);
      expect(messageLength(bytes.subarray(0, 15))).toBeUndefined();
      const message = decodeMessage(bytes);
      expect(message).toMatchObject({ type: 'call', replySerial: 0, signature: 'sasa{sv}iy' });
      expect(message.body()).toEqual([one, list, pairs, signed, 7]);
    }),
  );
});

it('a reply of a bus with the other byte order is read', () => {
  const bytes = Buffer.from(
    // Big-endian, a reply, to serial 3, with the signature "u"; its body is 258.
    '42020001' + '00000004' + '00000009' + '0000000f' + '05017500' + '00000003' + '0801670001750000' + '00000102',
    'hex',
  );
  expect(messageLength(bytes)).toBe(bytes.length);
  const message = decodeMessage(bytes);
  expect([message.type, message.replySerial, message.body()]).toEqual(['reply', 3, [258]]);
});

it('whatever is changed in a message, reading it ends, and a length beyond all bounds is refused', () => {
  const whole = encodeCall(
    { ...call, signature: 'sasa{sv}', body: ['a', ['b'], [['c', { signature: 's', value: 'd' }]]] },
    1,
  );
  const change = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) bytes[at] = byte;
      try {
        const length = messageLength(bytes);
        expect(length ?? 0).toBeLessThanOrEqual(64 * 1024);
        decodeMessage(bytes).body();
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
  );
  const endless = Buffer.from(whole);
  for (const length of [2 ** 31, 100_000]) {
    endless.writeUInt32LE(length, 4);
    expect(() => messageLength(endless)).toThrow('bytes');
  }
});

it('a list of nothing, which would never end, is refused', () => {
  const bytes = encodeCall({ ...call, signature: 'auy', body: [[1, 2], 7] }, 1);
  bytes.write('a()', bytes.lastIndexOf('auy'), 'latin1');
  expect(() => decodeMessage(bytes).body()).toThrow('have no bytes');
});
