// A strict reader of Prometheus' text format 0.0.4: what a lenient one would let pass is an error here, and so is what promtool would
// complain of. Counters end in _total and only they do, histograms are whole and only grow from bucket to bucket.
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|\}$)/;
const VALUE = /^(?:[+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?)|[+-]Inf|NaN)$/;

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface FamilyText {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly series: Series[];
}

export type Exposed = ReadonlyMap<string, FamilyText>;

/** Reads a whole text by families. Throws with the line that breaks a rule. */
export function parseExposition(text: string): Exposed {
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed');
  const families = new Map<string, FamilyText>();
  const seen = new Set<string>();
  let help: { name: string; text: string } | undefined;
  let current: { name: string; family: FamilyText } | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string): Error => new Error(`${why}: ${line}`);
    if (line === '') continue;
    if (line.startsWith('# HELP ')) {
      const [, name = '', words = ''] = /^# HELP (\S+) (.+)$/.exec(line) ?? [];
      if (!NAME.test(name) || families.has(name) || help !== undefined) throw fail('a HELP out of place');
      help = { name, text: words };
    } else if (line.startsWith('# TYPE ')) {
      const [, name = '', type = ''] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
      if (name === '' || help?.name !== name) throw fail('a TYPE without its HELP');
      if ((type === 'counter') !== name.endsWith('_total')) throw fail('counters end in _total, and only they do');
      current = { name, family: { type: type as FamilyText['type'], help: help.text, series: [] } };
      families.set(name, current.family);
      help = undefined;
    } else {
      if (current === undefined || help !== undefined) throw fail('a value outside of a family');
      const series = seriesOf(line);
      const plain = current.family.type === 'histogram' ? series.name.replace(/_(bucket|sum|count)$/, '') : series.name;
      if (plain !== current.name) throw fail(`a value of another family than ${current.name}`);
      if (current.family.type === 'histogram' && plain === series.name) throw fail('a bare value of a histogram');
      const key = keyOf(series.name, series.labels);
      if (seen.has(key)) throw fail('told twice');
      seen.add(key);
      if (current.family.type !== 'gauge' && !(series.value >= 0)) throw fail('a count below zero');
      current.family.series.push(series);
    }
  }
  if (help !== undefined) throw new Error(`the HELP of ${help.name} has no TYPE`);
  for (const [name, { type, series }] of families) if (type === 'histogram') checkHistogram(name, series);
  return families;
}

/** The value of one series; throws where there is none. */
export function valueOf(exposed: Exposed, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const value = valueIfAny(exposed, name, labels);
  if (value === undefined) throw new Error(`no series ${keyOf(name, labels)}`);
  return value;
}

export function valueIfAny(
  exposed: Exposed,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const key = keyOf(name, labels);
  return seriesIn(exposed).find((one) => keyOf(one.name, one.labels) === key)?.value;
}

export function seriesIn(exposed: Exposed): Series[] {
  return [...exposed.values()].flatMap(({ series }) => series);
}

function keyOf(name: string, labels: Readonly<Record<string, string>>): string {
  return name + JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function seriesOf(line: string): Series {
  const [, name = '', inBraces, value = ''] = /^([^\s{]+)(\{[^\n]+\})? (\S+)$/.exec(line) ?? [];
  if (!NAME.test(name) || !VALUE.test(value)) throw new Error(`not a value: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = inBraces?.slice(1) ?? ''; rest !== '';) {
    const [whole, label, text] = LABEL.exec(rest) ?? [];
    if (whole === undefined || label === undefined || text === undefined) throw new Error(`not labels: ${line}`);
    if (label in labels) throw new Error(`a label twice: ${line}`);
    labels[label] = text.replace(/\\([\s\S])/g, (_all, one: string) => (one === 'n' ? '\n' : one));
    rest = rest.slice(whole.length);
  }
  const number = value.endsWith('Inf') ? (value.startsWith('-') ? -Infinity : Infinity) : Number(value);
  return { name, labels, value: number };
}

function checkHistogram(name: string, series: readonly Series[]): void {
  const groups = new Map<string, Series[]>();
  for (const one of series) groups.set(groupOf(one), [...(groups.get(groupOf(one)) ?? []), one]);
  for (const [group, members] of groups) {
    const fail = (why: string): Error => new Error(`${name}${group}: ${why}`);
    const buckets = members.filter((one) => one.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => (labels['le'] === '+Inf' ? Infinity : Number(labels['le'])));
    if (bounds.some((bound, at) => !(bound > (bounds[at - 1] ?? -Infinity)))) throw fail('bounds out of order');
    if (bounds.at(-1) !== Infinity) throw fail('no bucket +Inf');
    if (buckets.some(({ value }, at) => value < (buckets[at - 1]?.value ?? 0)))
      throw fail('buckets are not cumulative');
    const count = members.filter((one) => one.name === `${name}_count`);
    if (count.length !== 1 || count[0]?.value !== buckets.at(-1)?.value) throw fail('_count is not that of +Inf');
    if (members.filter((one) => one.name === `${name}_sum`).length !== 1) throw fail('no _sum');
  }
}

function groupOf({ labels }: Series): string {
  return keyOf('', Object.fromEntries(Object.entries(labels).filter(([label]) => label !== 'le')));
}
