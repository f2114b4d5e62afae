// A signed-in service over an emulator in this process, for tests of single calls against each dialect.
import type { Dialect } from '../../../src/emulator/dialect.ts';
import { startEmulator, type Emulator } from '../../../src/emulator/emulator.ts';
import type { MemoryStore } from '../../../src/emulator/memory-store.ts';
import { openContentApi, type ContentApi } from '../../../src/syncplicity/content-api.ts';

export interface EmulatedService {
  readonly api: ContentApi;
  readonly emulator: Emulator;
  stop(): Promise<void>;
}

/** Starts an emulator of this dialect over the store and signs in. */
export async function emulatedService(store: MemoryStore, dialect: Partial<Dialect> = {}): Promise<EmulatedService> {
  const emulator = await startEmulator({ store, dialect });
  const { appKey, appSecret, appToken } = emulator.credentials;
  const credentials = { clientId: appKey, clientSecret: appSecret, appToken };
  const members = [{ credentials, apiUrl: emulator.gatewayUrl }] as const;
  const api = await openContentApi({ members, proxyEnvironment: {}, budget: { perSecond: 0, perHour: 0 } }, {});
  const stop = async (): Promise<void> => {
    await api.stop();
    await emulator.stop();
  };
  return { api, emulator, stop };
}
