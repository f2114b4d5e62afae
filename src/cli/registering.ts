// Registers this machine for a connection and stores it there. Promises: its token is shown nowhere; the application token is sent to the
// vendor's legacy host only for an account at the vendor's own gateway, or where the connection names a host.
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { ConnectionStore } from '../connections/store.ts';
import { defaultApiUrl, defaultXmlUrl } from '../syncplicity/options.ts';
import { isVendorHost } from '../syncplicity/http/service-url.ts';
import type { RegisteredMachine } from '../syncplicity/content/machines.ts';
import type { Service } from './content/content-command.ts';
import type { CliContext } from './context.ts';
import { printable } from './printable.ts';
import type { StoredAccount } from './stored-account.ts';

export interface Registering {
  readonly store: ConnectionStore;
  readonly account: StoredAccount;
  /** Default: after this machine. */
  readonly name: string | undefined;
  readonly caFile: string | undefined;
}

/** Resolves with the id and name under which the service knows this machine now. */
export async function registerFor(
  context: CliContext,
  service: Service,
  { store, account, name, caFile }: Registering,
): Promise<{ readonly id: string; readonly name: string }> {
  const { machineNameMax } = await import('../syncplicity/content/machines.ts');
  const chosen = name ?? `syncplicityfs on ${hostname()}`.slice(0, machineNameMax);
  const machine = await registered(context, service, account, chosen, caFile);
  await store.keepMachine(account.connection.id, machine);
  return { id: machine.id, name: chosen };
}

async function registered(
  context: CliContext,
  { api, call }: Service,
  { auth }: StoredAccount,
  name: string,
  caFile: string | undefined,
): Promise<RegisteredMachine> {
  const { isUnserved, registerMachine, registerMachineAtLegacyHost } =
    await import('../syncplicity/content/machines.ts');
  const { appToken } = auth.credentials;
  const isVendors = isVendorHost(new URL(auth.apiUrl ?? defaultApiUrl));
  const xmlUrl = auth.xmlUrl ?? (isVendors ? defaultXmlUrl : undefined);
  try {
    try {
      return await registerMachine(api.gateway, name, call);
    } catch (error) {
      if (!isUnserved(error) || appToken === undefined || xmlUrl === undefined) throw error;
      context.warn(`${printable((error as Error).message)}; trying ${new URL(xmlUrl).host}`);
    }
    const ca = caFile === undefined ? undefined : await readFile(caFile, 'utf8');
    const signal = call.signal ?? new AbortController().signal;
    return await registerMachineAtLegacyHost({ xmlUrl, appToken, name, ca, signal });
  } catch (error) {
    if ((error as { status?: unknown }).status !== 409) throw error;
    throw new Error(`a machine called "${printable(name)}" is registered already\nname this one with --name`, {
      cause: error,
    });
  }
}
