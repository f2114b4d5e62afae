// "Did you mean": the names of a list that a mistyped one resembles.

/** The names of `known` at most two edits (and less than half its length) away from `name`, nearest first, three at most. */
export function nearNames(name: string, known: readonly string[]): string[] {
  const limit = Math.min(2, Math.ceil(name.length / 2) - 1);
  return known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= limit || (name.length >= 3 && candidate.startsWith(name)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate);
}

/** Insertions, removals, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? (beforePrevious[j - 2] as number) + 1 : Infinity;
      row.push(Math.min(replaced, swapped, (previous[j] as number) + 1, (row[j - 1] as number) + 1));
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length] as number;
}
