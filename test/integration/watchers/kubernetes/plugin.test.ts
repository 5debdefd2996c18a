/** Credential plugins of a kubeconfig: asked once for all, again when the answer expires, and ended when they hang. */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PluginCredentials } from '../../../../watchers/kubernetes/api/plugin.ts';
import { tempFolder, until } from '../../../support/index.ts';

/** A plugin that runs these lines of shell; `asked` counts its runs. */
async function plugin(...lines: readonly string[]) {
  const folder = await tempFolder();
  const command = join(folder.path, 'plugin');
  const file = (name: string): string => join(folder.path, name);
  await writeFile(command, ['#!/bin/sh', `echo run >> ${file('runs')}`, ...lines, ''].join('\n'));
  await chmod(command, 0o755);
  const stop = new AbortController();
  return {
    file,
    stop,
    make: (timeoutMs?: number) =>
      new PluginCredentials({ command, args: [], env: { WHO: 'me' } }, process.env, stop.signal, timeoutMs),
    asked: async () => (await readFile(file('runs'), 'utf8')).split('\n').length - 1,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const answer = (token: string, expires = '2999-01-01T00:00:00Z'): string =>
  `echo '{"status":{"token":"${token}","expirationTimestamp":"${expires}"}}'`;

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a plugin is asked once by all who want to know, and again when its answer has expired', async () => {
  await using lasting = await plugin('[ "$WHO" = me ] || exit 1', answer('lasting'));
  const credentials = lasting.make();
  const all = await Promise.all([credentials.get(), credentials.get(), credentials.get()]);
  assert.deepEqual(
    all.map(({ token }) => token),
    ['lasting', 'lasting', 'lasting'],
  );
  await credentials.get();
  assert.equal(await lasting.asked(), 1);
  await using expired = await plugin(answer('expired', '2020-01-01T00:00:00Z'));
  const again = expired.make();
  await again.get();
  await again.get();
  assert.equal(await expired.asked(), 2);
});

for (const [how, end] of [
  ['does not answer in time', (): void => {}],
  ['is not waited for any more', (stop: AbortController): void => stop.abort()],
] as const)
  test(`a plugin that ${how} is ended with all that it started`, async () => {
    await using hanging = await plugin('sleep 1000 & echo $! > "$0.child"', 'echo $$ > "$0.own"', 'wait');
    const asked = assert.rejects(
      hanging.make(how.includes('time') ? 2000 : undefined).get(),
      /no credentials for the Kubernetes API from ".*plugin"/,
    );
    const pids = await until('it runs', async () => {
      const texts = await Promise.all(
        ['plugin.child', 'plugin.own'].map((name) => readFile(hanging.file(name), 'utf8')),
      );
      const read = texts.map(Number);
      return read.every((pid) => pid > 0) && read;
    });
    end(hanging.stop);
    await asked;
    for (const pid of pids) await until(`${pid} has ended`, () => !isRunning(pid));
  });

test('what a plugin says of its failure is told with its name, and the next one to ask asks anew', async () => {
  await using failing = await plugin('echo "log in first" >&2', 'exit 3');
  const credentials = failing.make();
  await assert.rejects(credentials.get(), /from ".*plugin": exit status 3 log in first/);
  await assert.rejects(credentials.get(), /exit status 3/);
  assert.equal(await failing.asked(), 2);
  await using mute = await plugin('echo nonsense');
  await assert.rejects(mute.make().get(), /no credentials/);
});
