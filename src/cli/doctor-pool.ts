// What a mount needs of a pool: of each of its connections what it needs of any, and that all show the same account.
import type { Connection, ConnectionStore } from '../connections/store.ts';
import { type PoolConnection, verifyPool } from '../connections/verify.ts';
import { connectionChecks } from './doctor-connection.ts';
import type { Check, Finding } from './finding.ts';
import { countOf } from './printable.ts';

/** The checks of a connection or a pool; the caller runs each once. */
export async function checksOf(
  store: ConnectionStore,
  { id, group }: Connection,
  caFile: string | undefined,
): Promise<Check[]> {
  return group ? poolChecks(store, id, caFile) : connectionChecks(await store.auth(id), caFile);
}

/** The checks of a pool; the caller runs each once. */
async function poolChecks(store: ConnectionStore, poolId: string, caFile: string | undefined): Promise<Check[]> {
  const checks: Check[] = [];
  const members: PoolConnection[] = [];
  for (const { id, name } of await store.members(poolId)) {
    const auth = await store.auth(id);
    checks.push(...connectionChecks(auth, caFile).map((check) => ({ ...check, name: `${name}: ${check.name}` })));
    if (auth.platform === 'syncplicity') members.push({ id, name, auth });
  }
  return [...checks, { name: 'pool', look: () => together(members, caFile) }];
}

async function together([first, ...more]: readonly PoolConnection[], caFile: string | undefined): Promise<Finding> {
  if (first === undefined) {
    return {
      state: 'fail',
      detail: 'it has no connection of an account',
      advice: 'put some in with connections pool assign',
    };
  }
  const { working, complaints } = await verifyPool([first, ...more], caFile);
  if (complaints.length === 0) return { state: 'ok', detail: `${countOf(working, 'connection')} of one account` };
  // It works while one does.
  return {
    state: working === 0 ? 'fail' : 'warn',
    detail: complaints.join('; '),
    advice: 'see what is said of each connection above, or take it out with connections pool unassign',
  };
}
