import { describe, expect, it } from 'vitest';
import { isLoopbackAddress, namesLoopback } from '../../src/base/loopback.ts';

describe('loopback', () => {
  it.each(['127.0.0.1', '127.255.0.9', '::1', '0:0:0:0:0:0:0:1'])('is %s', (address) =>
    expect(isLoopbackAddress(address)).toBe(true),
  );
  it.each(['0.0.0.0', '128.0.0.1', '::', '::2', 'localhost', '127.1', '', '127.0.0.1.example'])(
    'is not %j',
    (address) => expect(isLoopbackAddress(address)).toBe(false),
  );
  it.each(['localhost', 'LocalHost:80', 'drive.localhost:9470', '127.0.0.1', '127.0.0.1:9470', '[::1]', '[::1]:9470'])(
    'is what the Host header %s names',
    (host) => expect(namesLoopback(host)).toBe(true),
  );
  it.each([
    undefined,
    '',
    ':80',
    'example.com',
    'localhost.example',
    '127.0.0.1.example:80',
    '127.0.0.1@example',
    '10.0.0.1:80',
  ])('is not what the Host header %j names', (host) => expect(namesLoopback(host)).toBe(false));
});
