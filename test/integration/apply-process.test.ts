/** Control `process` with the real HAProxy: what a reload, a refusal and a failure do to what serves. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { get, gone, never, pidOf, reload, rendered, setup, text } from '../support/apply.ts';
import { freePort, tempFolder } from '../support/index.ts';

test('a first start serves, and a reload replaces the process and its answers', async () => {
  await using folder = await tempFolder();
  await using my = await setup(folder.path);
  const port = await freePort();
  const control = await my.open();
  assert.equal(control.running, null);
  assert.deepEqual(control.forced, [{ code: 'first_start' }]);

  const first = rendered(my, [{ name: 'one', bind: `127.0.0.1:${port}` }]);
  const outcome = await control.apply(first, reload, never);
  assert.equal(outcome.kind, 'applied', JSON.stringify(outcome));
  assert.equal(await get(port), 'one');
  assert.equal(await readFile(my.file, 'utf8'), text(first));
  assert.deepEqual(control.forced, []);

  const before = pidOf(control);
  const second = rendered(my, [{ name: 'two', bind: `127.0.0.1:${port}` }]);
  const next = await control.apply(second, reload, never);
  assert.equal(next.kind, 'applied', JSON.stringify(next));
  assert.equal(await get(port), 'two');
  assert.notEqual(pidOf(control), before);
  await gone(before);
  assert.equal(existsSync(`${my.file}.previous`), false);
  assert.equal(existsSync(`${my.file}.candidate`), false);
  console.log(next.kind === 'applied' && next.tookMs, my.events);
});
