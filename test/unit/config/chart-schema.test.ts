/** What Helm knows of `config`; after a change of the config's schema: `node --test --test-update-snapshots` this file. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { z } from 'zod';
import { chart } from '../../support/kubernetes/chart.ts';
import { configSchema } from '../../support/kubernetes/values-schema.ts';

const path = join(chart, 'values.schema.json');

test('the schema of the chart’s values has the config as Myelin’s own schema has it', async (t: TestContext) => {
  const values = z
    .looseObject({ properties: z.looseObject({ config: z.unknown() }) })
    .parse(JSON.parse(await readFile(path, 'utf8')));
  const { config, $defs } = configSchema();
  const whole = { ...values, properties: { ...values.properties, config }, $defs };
  t.assert.fileSnapshot(`${JSON.stringify(whole, null, 2)}\n`, path, { serializers: [(text: string) => text] });
});
