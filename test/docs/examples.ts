// Reads the examples out of a document: fenced `sh` blocks whose lines "$ COMMAND" are followed by what the command prints.

export interface Example {
  /** Line of the document, for the message of a failure. */
  readonly line: number;
  readonly command: string;
  /** Standard output and standard error as one text. */
  readonly output: string;
}

/** All examples of a Markdown text, in order. Throws where a block prints something that no command precedes. */
export function examplesOf(markdown: string): Example[] {
  const examples: { line: number; command: string; output: string }[] = [];
  let inside = false;
  let first = false;
  for (const [index, line] of markdown.split('\n').entries()) {
    if (line.startsWith('```')) {
      inside = line === '```sh';
      first = true;
    } else if (inside && line.startsWith('$ ')) {
      examples.push({ line: index + 1, command: line.slice(2), output: '' });
      first = false;
    } else if (inside) {
      const example = examples.at(-1);
      if (example === undefined || first) throw new Error(`line ${index + 1}: an example begins with "$ "`);
      example.output += `${line}\n`;
    }
  }
  return examples;
}
