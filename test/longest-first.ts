// Suites that take longest begin first: on a new machine nothing tells vitest how long each takes, and one begun last would go on alone,
// for minutes, with a core idle beside it.
import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Those of more than 40 s on two cores, longest first. */
const LONGEST = [
  'crash/cuts',
  'mount/dialects',
  'cli/mount',
  'crash/kill',
  'mount/pins',
  'cli/content/syncpoints',
  'cli/content/files',
  'mount/freshness',
  'mount/pool',
  'cli/content/participants',
  'mount/thumbnails',
  'apps/copying',
  'mount/faults',
  'cli/content/links',
  'apps/calls',
  'sync/dialects',
  'apps/saving',
  'cli/content/versions-changes',
  'mount/links',
  'mount/lifecycle',
  'apps/files',
  'docs/semantics',
  'posix/random-io',
  'mount/bandwidth',
  'model/tree',
].map((name) => `test/${name}.test.ts`);

export class LongestFirst extends BaseSequencer {
  /** Those of the list in its order, then vitest's own. */
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.indexOf(relative(this.ctx.config.root, moduleId));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
