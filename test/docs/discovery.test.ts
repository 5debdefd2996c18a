import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { z } from 'zod';
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

test('the example of a service that Consul offers is a definition for `consul services register`, with options that there are', async () => {
  const consul = await readFile(new URL('../../docs/watchers/consul.md', import.meta.url), 'utf8');
  const [, example = ''] = /```json\n([\s\S]*?)```/.exec(consul) ?? [];
  const { service } = z
    .strictObject({
      // The command line takes these in lower case and below `service`; as the HTTP API has them, it refuses them.
      service: z.strictObject({
        name: z.string(),
        port: z.number(),
        tags: z.array(z.string()),
        meta: z.record(z.string(), z.string()),
      }),
    })
    .parse(JSON.parse(example));
  const tags = service.tags.flatMap((tag) => /^myelin\.(.*)=/.exec(tag)?.[1] ?? []);
  const meta = Object.keys(service.meta).map((key) => key.replace(/^myelin-/, ''));
  assert.ok(tags.length > 0 && meta.length > 0);
  for (const option of [...tags, ...meta])
    assert.ok(
      serviceOptions.some((known) => known === option),
      option,
    );
});
