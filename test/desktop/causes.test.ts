// When a cause is told of: C1 to C4 under any order of events, against a model that remembers everything.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Causes, type Showing } from '../../src/desktop/causes.ts';

const pace = { gatherMs: 2_000, againMs: 600_000 };
const scopeOf = (key: number): string => `scope ${key % 3}`;

type Event =
  | { readonly kind: 'arise' | 'mend'; readonly cause: string; readonly key: number }
  | { readonly kind: 'wait'; readonly ms: number };

const cause = fc.constantFrom('quota', 'conflict');
const key = fc.integer({ min: 0, max: 8 });
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom('arise' as const, 'mend' as const), cause, key }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 900_000 }) }),
);

/** Causes with a clock that shows what is due in time, as its owner does. */
class Clock {
  readonly causes = new Causes<string, number>(pace);
  readonly showings: (Showing<string, number> & { readonly atMs: number })[] = [];
  nowMs = 0;

  wait(ms: number): void {
    const endMs = this.nowMs + ms;
    for (let dueMs = this.causes.dueMs; dueMs !== undefined && dueMs <= endMs; dueMs = this.causes.dueMs) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      const taken = this.causes.take(this.nowMs);
      // Or its owner would wake again and again for nothing.
      expect(taken).not.toEqual([]);
      this.showings.push(...taken.map((showing) => ({ ...showing, atMs: this.nowMs })));
    }
    this.nowMs = endMs;
  }

  do(one: Event): void {
    if (one.kind === 'wait') this.wait(one.ms);
    else if (one.kind === 'mend') this.causes.mend(one.cause, one.key);
    else this.causes.arise(one.cause, one.key, { scope: scopeOf(one.key) }, this.nowMs);
  }
}

describe('causes', () => {
  it('are told of once, whatever comes in which order', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const clock = new Clock();
        // By cause: what is open and since when, what was told of since it is open, which scopes were.
        const open = new Map<string, Map<number, number>>();
        const told = new Map<string, Set<number>>();
        const toldScopes = new Map<string, Set<string>>();
        const of = <T>(map: Map<string, T>, name: string, fresh: T): T =>
          map.get(name) ?? (map.set(name, fresh), fresh);
        const lastMs = new Map<string, number>();
        const check = (from: number): void => {
          for (const showing of clock.showings.slice(from)) {
            const { cause: name, atMs, isNew, untold } = showing;
            const [isOpen, isTold] = [of(open, name, new Map<number, number>()), of(told, name, new Set<number>())];
            const scopes = of(toldScopes, name, new Set<string>());
            expect(atMs - (lastMs.get(name) ?? -Infinity)).toBeGreaterThanOrEqual(pace.againMs); // C1
            expect(untold.length).toBeGreaterThan(0);
            expect([...showing.open.keys()].sort()).toEqual([...isOpen.keys()].sort());
            expect(untold.toSorted()).toEqual([...isOpen.keys()].filter((one) => !isTold.has(one)).sort()); // C2
            expect(isNew).toBe(untold.some((one) => !scopes.has(scopeOf(one)))); // C4
            for (const one of untold) {
              const latestMs = Math.max(
                (isOpen.get(one) ?? 0) + pace.gatherMs,
                (lastMs.get(name) ?? -Infinity) + pace.againMs,
              );
              expect(atMs).toBeLessThanOrEqual(latestMs); // C3
              isTold.add(one);
              scopes.add(scopeOf(one));
            }
            lastMs.set(name, atMs);
          }
        };
        for (const one of [...events, { kind: 'wait' as const, ms: 2 * pace.againMs }]) {
          const from = clock.showings.length;
          clock.do(one);
          check(from);
          if (one.kind === 'wait') continue;
          const [isOpen, isTold] = [
            of(open, one.cause, new Map<number, number>()),
            of(told, one.cause, new Set<number>()),
          ];
          if (one.kind === 'arise' && !isOpen.has(one.key)) isOpen.set(one.key, clock.nowMs);
          if (one.kind === 'mend') {
            isOpen.delete(one.key);
            isTold.delete(one.key);
            const scope = scopeOf(one.key);
            if (![...isOpen.keys()].some((other) => scopeOf(other) === scope))
              of(toldScopes, one.cause, new Set<string>()).delete(scope);
          }
        }
        // C3: nothing that is open was left untold.
        for (const [name, isOpen] of open)
          expect([...isOpen.keys()].filter((one) => !of(told, name, new Set()).has(one))).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('with ten thousand matters are told of twice in an hour: as they begin, and how many there are', () => {
    const clock = new Clock();
    for (let index = 0; index < 10_000; index += 1) {
      clock.causes.arise('quota', index, { scope: 'vault' }, clock.nowMs);
      clock.wait(50);
    }
    clock.wait(3_600_000);
    expect(clock.showings.map(({ isNew, open }) => [isNew, open.size])).toEqual([
      [true, 40],
      [false, 10_000],
    ]);
  });

  it('that were told of by an earlier process are not told of again; more of them is, and what comes again', () => {
    const before = new Clock();
    before.causes.arise('quota', 1, { scope: 'vault' }, 0);
    before.causes.arise('conflict', 1, { scope: 'one' }, 0);
    before.wait(10_000);
    const clock = new Clock();
    clock.wait(10_000);
    for (const [name, told] of before.causes.told()) clock.causes.recall(name, told);
    clock.causes.find('quota', 1, { scope: 'vault' }, clock.nowMs);
    clock.causes.find('quota', 2, { scope: 'vault' }, clock.nowMs);
    clock.causes.allFound();
    clock.wait(1_000);
    clock.causes.arise('quota', 3, { scope: 'vault' }, clock.nowMs);
    clock.causes.arise('conflict', 2, { scope: 'one' }, clock.nowMs);
    clock.wait(3_600_000);
    expect(clock.showings).toMatchObject([
      { cause: 'quota', isNew: false, untold: [3], atMs: 2_000 + pace.againMs },
      { cause: 'conflict', isNew: true, untold: [2], atMs: 2_000 + pace.againMs },
    ]);
  });
});
