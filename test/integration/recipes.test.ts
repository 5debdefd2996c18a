/** The configs that guides show are accepted by Myelin and by HAProxy. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { pemFor } from '../support/certificates.ts';
import { forFile } from '../support/for-file.ts';
import { workplace } from '../support/sites/myelin.ts';

const place = await forFile(workplace(''));
await place.write('certs/example.pem', pemFor('*.example.com'));

const page = await readFile(new URL('../../docs/guides/recipes.md', import.meta.url), 'utf8');
const recipes = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);

test('Myelin and HAProxy accept every recipe of the guide', async () => {
  assert.ok(recipes.length > 8);
  for (const recipe of recipes) {
    await place.write('myelin.yaml', `${recipe}\n`);
    const { exitCode, stderr } = await place.command('check');
    assert.equal(exitCode, 0, `${recipe}\n${stderr}`);
  }
});
