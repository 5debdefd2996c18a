import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { boundsOf, serviceOptions } from '../../watchers/kit/service-options.ts';

const page = await readFile(new URL('../../docs/watchers/kubernetes.md', import.meta.url), 'utf8');
const words = page.replaceAll(/\s+/g, ' ');

test('the page about discovery names every annotation, and the bounds of those that are times', () => {
  const table = page.slice(page.indexOf('| annotation `myelin.dev/…`'));
  for (const option of serviceOptions) assert.ok(table.includes(`\`${option}\``), option);
  const byBounds = Map.groupBy(Object.entries(boundsOf), ([, [least, most]]) => `${least} to ${most}`);
  for (const [bounds, options] of byBounds) {
    const said = `${options.map(([option]) => `\`${option}\``).join(', ')}: ${bounds}`;
    assert.ok(words.includes(said), `the page does not say: ${said}`);
  }
});
