/** The command line as a program among others. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'node:test';
import { cli } from '../support/sites/cli.ts';

test('a reader that has enough before the end is no failure', async () => {
  const child = spawn(process.execPath, [cli, 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  assert.deepEqual([(await once(child, 'close'))[0], stderr], [0, '']);
});
