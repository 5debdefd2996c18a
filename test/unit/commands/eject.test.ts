import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyOf } from '../../../src/commands/setup/eject.ts';
import { builtInTemplates } from '../../../src/settings/templates.ts';
import { ownVersion } from '../../../src/version.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

test('the copies that `eject` writes say of which version they are, and print what the built-in templates print', async () => {
  const copies = [...builtInTemplates()].map(([name, { text }]) => [name, copyOf(text)] as const);
  for (const [name, text] of copies) assert.ok(text.split('\n', 1)[0]?.includes(`Myelin ${ownVersion()}`), name);
  const config = configOf({ services: { web: { bind: ':80' } }, haproxy: { stats: { bind: ':8404' } } });
  const [builtIn, copied] = [await rendererWith({}), await rendererWith(Object.fromEntries(copies))].map((renderer) =>
    render(renderer, config, { web: [endpoint('a'), endpoint('c', { port: 81 })] }),
  );
  assert.deepEqual(copied, builtIn);
});
