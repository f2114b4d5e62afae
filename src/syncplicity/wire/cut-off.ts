// JSON that ends in its middle: the sign of a transfer that broke where neither a length nor chunks tell so.
import { RemoteError } from '../../remote-drive.ts';

/** The failure of a call whose reply was cut off: worth another try like any broken connection. */
export function cutOff(call: string): RemoteError {
  return new RemoteError('unavailable', `${call}: the reply ends early: the connection broke`);
}

/** True for text that opens a JSON object or array and ends before it is closed. */
export function isCutOff(text: string): boolean {
  const start = text.search(/[^\s\ufeff]/);
  if (text[start] !== '{' && text[start] !== '[') return false;
  let depth = 0;
  let inString = false;
  for (let position = start; position < text.length; position += 1) {
    const character = text[position];
    if (inString) {
      if (character === '\\') position += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') {
      inString = true;
    } else if (character === '{' || character === '[') {
      depth += 1;
    } else if (character === '}' || character === ']') {
      depth -= 1;
      if (depth === 0) return false;
    }
  }
  return true;
}
