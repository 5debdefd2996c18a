/** deploy/manifests is the chart for those without Helm; after a change of it: `node --test --test-update-snapshots` this file. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { helm } from '../servers/helm.ts';
import { chart, exampleValues, objectsIn, shapes } from '../support/kubernetes/chart.ts';

const folder = fileURLToPath(new URL('../../deploy/manifests', import.meta.url));

test('the plain manifests are what Helm makes of the chart, in the namespace myelin', async (t: TestContext) => {
  for (const shape of shapes) {
    const { status, stdout, stderr } = await helm(
      ...['template', 'myelin', chart, '--namespace', 'myelin', '--values', exampleValues(shape)],
    );
    assert.equal(status, 0, stderr);
    assert.ok(objectsIn(stdout).every(({ metadata }) => metadata.namespace !== undefined));
    t.assert.fileSnapshot(stdout, join(folder, `${shape}.yaml`), { serializers: [(text: string) => text] });
  }
  assert.deepEqual(await readdir(folder), shapes.map((shape) => `${shape}.yaml`).sort());
});
