// A vault as requests to it know it.
import type { VaultFields } from './wire/entities.ts';

/** A vault that can be read from. */
export interface Vault extends Omit<VaultFields, 'urls'> {
  /** In the gateway's order; never empty. */
  readonly urls: readonly URL[];
}
