// The regions of an address, for those who have no drive of it: one look-up, without credentials.
import { serviceUrl } from './http/service-url.ts';
import { loneTransport } from './lone-transport.ts';
import { defaultGolUrl } from './options.ts';
import { homeRegion, regionsOfUser } from './rols.ts';
import type { RolFields } from './wire/entities.ts';

/** Whose regions are asked for, and where. */
export interface RegionQuestion {
  readonly golUrl: string | undefined;
  readonly email: string;
  readonly ca: string | undefined;
  readonly signal: AbortSignal;
}

/** Where accounts of this address are at home. `name` begins with a blank, or is empty. Rejects where nobody knows. */
export async function findHome(question: RegionQuestion): Promise<{ readonly gateway: string; readonly name: string }> {
  const { gateway, name } = await ask(question, homeRegion);
  return { gateway: gateway.host, name: name === undefined ? '' : ` ${name}` };
}

/** All regions of this address; none where nobody knows it. */
export function findRegions(question: RegionQuestion): Promise<readonly RolFields[]> {
  return ask(question, regionsOfUser);
}

async function ask<T>({ golUrl, email, ca, signal }: RegionQuestion, look: Look<T>): Promise<T> {
  const transport = loneTransport({ ca });
  try {
    return await look(transport, serviceUrl(golUrl ?? defaultGolUrl, 'gol_url'), email, signal);
  } finally {
    await transport.stop();
  }
}

type Look<T> = (...asked: Parameters<typeof regionsOfUser>) => Promise<T>;
