// The order of listings and their pages, in each reading of `limit`, `offset` and `last_folder_id`.
import type { Dialect } from './dialect.ts';
import { Refusal } from './reply.ts';

interface Listed {
  readonly id: number;
  readonly name: string;
}

/** All items in the dialect's order. `shuffled` is the same shuffle for the same ids. */
export function sorted<T extends Listed>(items: Iterable<T>, order: Dialect['order']): readonly T[] {
  const all = [...items];
  switch (order) {
    case 'id':
      // Stores list by id mostly; sorting what is sorted still costs 10 ms for 50,000.
      return isById(all) ? all : all.sort((a, b) => a.id - b.id);
    case 'id-descending':
      return all.sort((a, b) => b.id - a.id);
    case 'name':
      return all.sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
    case 'shuffled':
      return all.sort((a, b) => scatter(a.id) - scatter(b.id) || a.id - b.id);
  }
}

function isById(items: readonly Listed[]): boolean {
  let last = 0;
  for (const { id } of items) {
    if (id < last) return false;
    last = id;
  }
  return true;
}

function scatter(id: number): number {
  return Math.imul(id, 0x9e3779b1) >>> 0;
}

/**
 * The page of at most `limit` items that follows (or starts with) the item `lastId`; an unknown id starts from the beginning
 * of the ids past it where the order is by id, else from the start. Refuses limits that are 0 or too large.
 */
export function page<T extends Listed>(
  items: readonly T[],
  limit: bigint | undefined,
  lastId: number | undefined,
  dialect: Pick<Dialect, 'paging' | 'pageLimitMax' | 'pageLimitDefault'>,
): readonly T[] {
  const { paging, pageLimitMax, pageLimitDefault } = dialect;
  if (limit === 0n) throw new Refusal(400, 'Bad Request');
  if (limit !== undefined && pageLimitMax > 0 && limit > BigInt(pageLimitMax)) {
    throw new Refusal(400, `Max Limit Is ${pageLimitMax}`);
  }
  if (paging === 'ignored') return items;
  let start = 0;
  if (lastId !== undefined) {
    const found = items.findIndex((item) => item.id === lastId);
    if (found >= 0) start = paging === 'exclusive' ? found + 1 : found;
    else {
      const next = items.findIndex((item) => item.id > lastId);
      start = next >= 0 ? next : items.length;
    }
  }
  const count = limit === undefined ? pageLimitDefault : Number(limit);
  return items.slice(start, count === 0 ? undefined : start + count);
}
