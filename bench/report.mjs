// Rows of a run -> a table that reads as text and as Markdown.

/**
 * A row: {what, ours, other, unit, ratio, calls, bar, pass}. `ours` and `other` are numbers of `unit` ('ms', 'MiB', 'MB/s',
 * 'round trips', ...), `ratio` says how many times better ours is, `bar` what is asked for, `pass` whether it is met
 * (undefined where nothing is asked).
 */
export function table(rows) {
  const head = ['what', 'syncplicityfs', 'rclone', 'times better', 'calls', 'bar', 'verdict'];
  const lines = rows.map((row) => [
    row.what,
    quantity(row.ours, row.unit),
    quantity(row.other, row.unit),
    row.ratio === undefined ? '' : significant(row.ratio),
    row.calls === undefined ? '' : String(row.calls),
    row.bar ?? '',
    row.pass === undefined ? '' : row.pass ? 'PASS' : 'FAIL',
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column].length)));
  const format = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [format(head), format(widths.map((width) => '-'.repeat(width))), ...lines.map(format)].join('\n');
}

/** A row of two durations in milliseconds. */
export function times(what, oursMs, otherMs, more = {}) {
  const ratio = otherMs === undefined ? undefined : otherMs / oursMs;
  return { what, ours: oursMs, other: otherMs, unit: 'ms', ratio, ...more };
}

/** Of several runs of the same: what disturbed the others was not the drive. */
export function best(values) {
  return Math.min(...values);
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function quantity(value, unit) {
  if (value === undefined) return '';
  if (unit === 'ms') return value >= 1000 ? `${significant(value / 1000)} s` : `${significant(value)} ms`;
  return `${significant(value)}${unit === undefined ? '' : ` ${unit}`}`;
}

function significant(value) {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}
