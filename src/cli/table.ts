// Text tables as SkySync's command line prints them: columns padded to their widest cell, one space between, no space at the end.

export interface Column {
  readonly header: string;
  /** Cells stand in the middle below the header instead of at its left. */
  readonly centred?: boolean;
}

/** Lines of a table, header first. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ header }, index) =>
    Math.max(textWidth(header), ...rows.map((row) => textWidth(row[index] ?? ''))),
  );
  const line = (cells: readonly string[], centre: boolean): string =>
    columns
      .map(({ centred }, index) => {
        const cell = cells[index] ?? '';
        const width = widths[index] as number;
        const before = centre && centred === true ? Math.floor((width - textWidth(cell)) / 2) : 0;
        return ' '.repeat(before) + pad(cell, width - before);
      })
      .join(' ')
      .trimEnd();
  return [
    line(
      columns.map(({ header }) => header),
      false,
    ),
    ...rows.map((row) => line(row, true)),
  ];
}

/** Lines of "Label value", labels padded to the widest. */
export function formatLabels(rows: readonly (readonly [label: string, value: string])[]): string[] {
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)} ${value}`.trimEnd());
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

const characters = new Intl.Segmenter();

/** Characters as people count them, not UTF-16 units: a name with an emoji keeps its column. */
function textWidth(text: string): number {
  // Most cells of a table of ten thousand rows.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  return Array.from(characters.segment(text)).length;
}
