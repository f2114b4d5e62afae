import { expect, test } from 'vitest';
import { webPage } from '../../src/syncplicity/wire/web-page.ts';

test.each([
  ['a page', '<html><title>Blocked</title>', '("Blocked")'],
  [
    'one behind a declaration and comments',
    '<?xml version="1.0"?>\n<!-- a - b --><!---->\n<!DOCTYPE html>',
    'instead of an answer:',
  ],
])('%s is told by its beginning', (_what, text, told) => {
  expect(webPage(text, 'GET')?.message).toContain(told);
});

test.each([
  ['JSON', '{"html": "<html>"}'],
  ['XML of another kind', '<?xml version="1.0"?><fault/>'],
  // Taken to pieces in every way, this would never end.
  ['nothing but comments', '<!---->'.repeat(1_000)],
])('%s is no page', (_what, text) => {
  expect(webPage(text, 'GET')).toBeUndefined();
});
