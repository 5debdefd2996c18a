import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { reloadCodes } from '../../src/model.ts';
import { closingLimits, dropReasons } from '../../src/report/metrics.ts';
import { endpointStates, updateResults } from '../../src/report/status.ts';
import { metricsOf } from '../support/values/metrics.ts';

const page = await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');

/** `name type labels` of every metric that is served once everything has happened. */
async function served(): Promise<string[]> {
  const metrics = metricsOf();
  metrics.reloaded([{ code: 'bind_changed' }], 'ok', 10);
  metrics.outputUpdated('hosts', 'written');
  const text = await metrics.text();
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type]) => {
    const sample = new RegExp(`^${name}(?:_count)?(?:\\{(.*)\\})? `, 'm').exec(text);
    assert.ok(sample, `${name} has no sample`);
    const labels = [...(sample[1] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label);
    return `${name} ${type} ${labels.join(', ')}`.trim();
  });
}

test('the reference lists every metric with its type and labels, and no other', async () => {
  const rows = [...page.matchAll(/^\| `(\w+)`\s*\| (\w+)\s*\| (.*?)\s*\|/gm)];
  const documented = rows.map(([, name, type, labels = '']) => `${name} ${type} ${labels.replaceAll('`', '')}`.trim());
  assert.deepEqual(documented.sort(), (await served()).sort());
});

test('the reference names every value of the labels that Myelin itself gives', () => {
  for (const value of [...updateResults, ...endpointStates, ...closingLimits, ...dropReasons, ...reloadCodes])
    assert.match(page, new RegExp(`\`${value}\``), value);
});
