/** What `npm run package` makes is installed in one step, asks for nothing else, and holds what users need and nothing of the development. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import ours from '#package.json' with { type: 'json' };
import { tempFolder } from '../../support/index.ts';

const root = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

test('the package is installed without a network and without other packages, and its command works', async () => {
  await using folder = await tempFolder();
  await run('npm', ['run', 'package', '--', folder.path], { cwd: root });
  const tarball = `myelin-${ours.version}.tgz`;
  assert.deepEqual(await readdir(folder.path), [tarball]);

  const prefix = join(folder.path, 'installed');
  // A cache of its own: what is in the usual one could be taken from there.
  const offline = ['--offline', '--no-audit', '--no-fund', '--cache', join(folder.path, 'cache')];
  await run('npm', ['install', '--global', '--prefix', prefix, ...offline, join(folder.path, tarball)]);
  assert.deepEqual(await readdir(join(prefix, 'lib/node_modules')), ['myelin']);
  const installed = join(prefix, 'lib/node_modules/myelin');
  assert.deepEqual((await readdir(installed)).sort(), [
    'CHANGELOG.md',
    'CONTRIBUTING.md',
    'LICENSE',
    'README.md',
    'bench',
    'deploy',
    'dist',
    'docs',
    'package.json',
    'templates',
  ]);
  await everyLinkLeadsSomewhere(join(installed, 'README.md'));

  const myelin = (...args: readonly string[]): Promise<{ readonly stdout: string }> =>
    run(join(prefix, 'bin/myelin'), args, { cwd: folder.path });
  assert.equal((await myelin('version')).stdout, `${ours.version}\n`);
  await myelin('init', 'file');
  await myelin('eject');
  assert.ok((await readdir(join(folder.path, 'templates'))).includes('backend.hbs'));
  await writeFile(join(folder.path, 'snapshot.yaml'), 'services: { web: [192.0.2.1:80] }\n');
  assert.match((await myelin('render', '--snapshot', 'snapshot.yaml')).stdout, /^frontend /m);
});

/** Whatever the README names relative to itself is in the package. */
async function everyLinkLeadsSomewhere(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
  assert.ok(links.length > 10);
  for (const link of links) await readdir(resolve(file, '..', link)).catch(() => readFile(resolve(file, '..', link)));
}
