/** With `--json` a program reads the errors, too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { site } from '../../support/sites/site.ts';

test('an error of any command is one object on standard error with --json, and standard output is empty', async () => {
  await using my = await site();
  const { place } = my;
  const good = await place.read('myelin.yaml');
  const fails = async (...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await place.command(...args, '--json');
    const { error } = JSON.parse(stderr);
    assert.equal(error.exitCode, exitCode);
    assert.equal(stdout, '');
    assert.notEqual(exitCode, 0);
    return error;
  };
  const { code: usage, docs } = await fails('statuss');
  assert.deepEqual([usage, docs], ['MYELIN_USAGE', 'docs/reference/errors.md#myelin_usage']);
  assert.equal((await fails('status')).code, 'MYELIN_NOT_RUNNING');
  await place.write('myelin.yaml', good.replace('bind:', 'bnd:'));
  const { code, problems } = await fails('check');
  assert.equal(code, 'MYELIN_CONFIG_INVALID');
  assert.deepEqual([problems[0].path, problems[0].line > 0], ['services.web.bnd', true]);
  await place.write('myelin.yaml', good.replace('  log: none', "  log: none\n  global: ['nonsense 1']"));
  const refused = await fails('check');
  assert.equal(refused.code, 'MYELIN_CONFIG_REJECTED');
  assert.match(refused.message, /\S*myelin\.yaml:\d+:\d+: haproxy\.global\[0\]: `nonsense 1`: unknown keyword/);
});
