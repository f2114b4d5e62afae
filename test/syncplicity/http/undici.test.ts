// What the program loads of undici.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import * as whole from 'undici';
import { Agent, buildConnector, EnvHttpProxyAgent, errors } from '../../../src/syncplicity/http/undici.ts';

test('the parts of undici are those of its index', () => {
  expect(Agent).toBe(whole.Agent);
  expect(EnvHttpProxyAgent).toBe(whole.EnvHttpProxyAgent);
  expect(errors).toBe(whole.errors);
  expect(buildConnector).toBe(whole.buildConnector);
});

test('a process that makes requests loads neither the index of undici nor fetch, WebSocket, caches and mocks', () => {
  const transport = fileURLToPath(new URL('../../../dist/src/syncplicity/http/transport.js', import.meta.url));
  const script = `import(${JSON.stringify(transport)}).then(() => console.log(Object.keys(require.cache).join('\\n')))`;
  const loaded = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })
    .split('\n')
    .filter((path) => path.includes('/undici/'));
  expect(loaded.some((path) => path.endsWith('/lib/dispatcher/agent.js'))).toBe(true);
  expect(
    loaded.filter((path) => /\/undici\/index\.js$|\/lib\/(?:web\/(?:fetch\/index|websocket)|cache|mock)/.test(path)),
  ).toEqual([]);
});
