// Connections and platforms as SkySync's command line shows them: scripts made for it read the same text and JSON.
import type { Connection } from '../connections/store.ts';
import { type Platform, platformName } from '../connections/platforms.ts';
import { printable } from './printable.ts';
import { formatLabels, formatTable } from './table.ts';

/** The header of IsPool is one wider than its letters in SkySync's output. */
const CONNECTION_COLUMNS = ['ID', 'Name', 'Platform', 'Enabled', 'IsPool ', 'PoolName'].map((header) => ({ header }));
const PLATFORM_COLUMNS = [{ header: 'ID' }, { header: 'Name' }, { header: 'Enabled', centred: true }];

/** The table of `connections list`. */
export function connectionTable(connections: readonly Connection[]): string[] {
  return formatTable(
    CONNECTION_COLUMNS,
    connections.map((connection) => [
      connection.id,
      printable(connection.name),
      platformName(connection.platform),
      String(!connection.disabled),
      connection.group ? 'true' : '',
      printable(connection.pool?.name ?? ''),
    ]),
  );
}

/** The rows of `connections show` and `add`. An unknown connection is the row "Enabled true" alone, as SkySync has it. */
export function connectionLabels(connection: Connection | undefined): string[] {
  if (connection === undefined) return ['Enabled true'];
  return formatLabels([
    ['ID', connection.id],
    ['Name', printable(connection.name)],
    ['Platform', platformName(connection.platform)],
    ['Enabled', String(!connection.disabled)],
  ]);
}

/** The rows of `connections pool assign`. */
export function assignmentLabels(connection: Connection): string[] {
  return formatLabels([
    ['ConnectionID', connection.id],
    ['ConnectionName', printable(connection.name)],
    ['Enabled', String(!connection.disabled)],
    ['PoolID', connection.pool?.id ?? ''],
    ['PoolName', printable(connection.pool?.name ?? '')],
  ]);
}

/** A connection in JSON: only what it has, in SkySync's order of keys. */
export function connectionJson(connection: Connection): Record<string, unknown> {
  return {
    id: connection.id,
    name: connection.name,
    platform: { name: platformName(connection.platform), id: connection.platform },
    ...(connection.pool === undefined ? {} : { pool: { name: connection.pool.name, id: connection.pool.id } }),
    ...(connection.group ? { group: true } : {}),
    ...(connection.disabled ? { disabled: true } : {}),
  };
}

/** The table of `connections platforms`. */
export function platformTable(platforms: readonly Platform[]): string[] {
  return formatTable(
    PLATFORM_COLUMNS,
    platforms.map(({ id, name }) => [id, name, 'Y']),
  );
}

/** The rows of `connections platforms ID`. */
export function platformLabels(platform: Platform): string[] {
  return formatLabels([
    ['ID', platform.id],
    ['Name', platform.name],
    ['Enabled', 'Y'],
  ]);
}
