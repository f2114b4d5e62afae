// Listings that are trusted for a lifetime, as where the service tells of no events.
import type { Journal } from '../../src/cache/journal.ts';
import { Trust } from '../../src/cache/trust.ts';

/** Never asks for events. */
export function lifetimeTrust(journal: Journal, lifetimeMs = 60_000): Trust {
  return new Trust({ journal, lifetimeMs, backstopMs: 900_000, pollIntervalMs: 0 });
}
