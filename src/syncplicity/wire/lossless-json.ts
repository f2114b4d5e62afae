// JSON text to values without losing digits: whole numbers of 16 digits and more become strings, because ids pass 2^53 and
// JSON.parse of Node 20 has no access to the source text. Throws SyntaxError for what is no JSON.

const longDigits = /\d{16}/;

/** Parses JSON text; a byte order mark before it is ignored. */
export function parseLossless(text: string): unknown {
  const source = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  return JSON.parse(longDigits.test(source) ? quoteLongIntegers(source) : source) as unknown;
}

/** Puts quotes round whole numbers of 16 or more digits; leaves strings, fractions and exponents alone. */
export function quoteLongIntegers(source: string): string {
  let quoted = '';
  let copied = 0;
  let position = 0;
  while (position < source.length) {
    const code = source.charCodeAt(position);
    if (code === 0x22 /* " */) {
      position = endOfString(source, position);
    } else if (code === 0x2d /* - */ || isDigit(code)) {
      const start = position;
      position += 1;
      while (isDigit(source.charCodeAt(position))) position += 1;
      const digits = position - start - (code === 0x2d ? 1 : 0);
      const whole = position;
      while (isNumberPart(source.charCodeAt(position))) position += 1;
      if (digits >= 16 && position === whole) {
        quoted += `${source.slice(copied, start)}"${source.slice(start, whole)}"`;
        copied = whole;
      }
    } else {
      position += 1;
    }
  }
  return quoted + source.slice(copied);
}

/** The index behind a string's closing quote, or the end of the text. */
function endOfString(source: string, openingQuote: number): number {
  let position = openingQuote + 1;
  while (position < source.length) {
    const code = source.charCodeAt(position);
    if (code === 0x22) return position + 1;
    position += code === 0x5c /* \ */ ? 2 : 1;
  }
  return source.length;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

function isNumberPart(code: number): boolean {
  return isDigit(code) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === 0x2d;
}
