/** What Helm knows of `config`; after a change of the config's schema: `node --test --test-update-snapshots` this file. */
import { readFile } from 'node:fs/promises';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { configSchema } from '../../support/values/chart-schema.ts';

const path = fileURLToPath(new URL('../../../deploy/helm/myelin/values.schema.json', import.meta.url));

test('the schema of the chart’s values has the config as Myelin’s own schema has it', async (t: TestContext) => {
  const values = z
    .looseObject({ properties: z.looseObject({ config: z.unknown() }) })
    .parse(JSON.parse(await readFile(path, 'utf8')));
  const { config, $defs } = configSchema();
  const whole = { ...values, properties: { ...values.properties, config }, $defs };
  t.assert.fileSnapshot(`${JSON.stringify(whole, null, 2)}\n`, path, { serializers: [(text: string) => text] });
});
