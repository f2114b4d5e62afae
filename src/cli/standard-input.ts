// Standard input as a whole, for commands that take a document there.
import { UsageError } from '../base/usage-error.ts';

/** All of stdin as text. Throws {@link UsageError} past the limit and when it is empty. */
export async function readStandardInput(limitBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > limitBytes) throw new UsageError(`more than ${limitBytes} bytes on stdin`);
    chunks.push(bytes);
  }
  if (size === 0) throw new UsageError('stdin is empty');
  return Buffer.concat(chunks).toString('utf8');
}
