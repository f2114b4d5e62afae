import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/longest-first.ts';
import { noteLeak } from './test/secrecy.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Mounts, child processes and LMDB environments: one process a file keeps a crash of one suite out of the others.
    pool: 'forks',
    // Two cores; the mount suites bring an emulator and a daemon process each, and wait for them half of the time.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    // Of what is waited for: a second is nothing on a machine where three suites go on at once.
    expect: { poll: { timeout: 20_000 } },
    // No daemon of a test shows anything on the desktop of whoever runs it: an address that leads to no bus.
    env: { DBUS_SESSION_BUS_ADDRESS: 'disabled:' },
    globalSetup: ['test/global-setup.ts'],
    // What suites print themselves.
    onConsoleLog: (text) => noteLeak('a test', text),
  },
});
