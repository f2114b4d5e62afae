// A port as an option's value.
import { InvalidArgumentError } from 'commander';

/** 0 means a free one. Throws what commander reports as wrong usage. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^[0-9]+$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535');
  return port;
}
