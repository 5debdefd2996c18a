/** What `npm run package` makes is installed in one step, asks for nothing else, and holds what users need and nothing of the development. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import ours from '#package.json' with { type: 'json' };
import { startBackends } from '../../servers/backend.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, tempFolder } from '../../support/index.ts';
import { servedBy } from '../../support/load/traffic.ts';
import { workplace } from '../../support/sites/myelin.ts';

const root = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

const artifacts = await tempFolder();
const tarball = join(artifacts.path, `myelin-${ours.version}.tgz`);
const executable = join(artifacts.path, `myelin-${ours.version}-linux-${process.arch}`);

before(async () => {
  await run('npm', ['run', 'package', '--', artifacts.path, '--arch', process.arch], { cwd: root });
});
after(() => artifacts[Symbol.asyncDispose]());

test('what is published is named with its version, and its checksums are right', async () => {
  const names = [tarball, executable].map((path) => basename(path));
  assert.deepEqual(
    (await readdir(artifacts.path)).sort(),
    ['SHA256SUMS', `myelin-${ours.version}.cdx.json`, ...names].sort(),
  );
  const { stdout } = await run('sha256sum', ['--check', 'SHA256SUMS'], { cwd: artifacts.path });
  assert.equal(stdout.match(/: OK$/gm)?.length, 3, stdout);
});

test('the bill of materials names each package of the bundle with its licence, and none of the development', async () => {
  const bill = JSON.parse(await readFile(join(artifacts.path, `myelin-${ours.version}.cdx.json`), 'utf8')) as {
    readonly components: readonly { readonly name: string; readonly licenses: readonly unknown[] }[];
  };
  const names = bill.components.map(({ name }) => name);
  for (const name of ['handlebars', 'consul', '@kubernetes/client-node', 'p-debounce', 'pino'])
    assert.ok(names.includes(name), name);
  assert.ok(!names.includes('typescript'));
  for (const { name, licenses } of bill.components) assert.ok(licenses.length > 0, name);
});

test('the one file runs where no Node is: large files, a watcher of one’s own, reloads of HAProxy', async () => {
  await using backends = await startBackends(['alpha', 'beta']);
  const { alpha, beta } = backends;
  const [web, more] = [await freePort(), await freePort()];
  await using place = await workplace(
    `
watchers: { file: { path: services.yaml }, mine: { type: ./mine.ts } }
services:
  web: { bind: "127.0.0.1:${web}", from: { file: {} } }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none, onExit: stop }
reload: { minInterval: 0ms }
probes: { listen: "off" }
`,
    executable,
  );
  // Parsed on a thread of its own.
  const others = Array.from({ length: 2000 }, (_, i) => `  other-${i}: ["192.0.2.1:${i + 1}"]\n`);
  await place.write('services.yaml', `services:\n  web: ["127.0.0.1:${alpha.port}"]\n${others.join('')}`);
  await place.write(
    'mine.ts',
    `import { defineSource, watching, z } from 'myelin/watcher';
export const source = defineSource({
  type: 'mine',
  settings: z.strictObject({}).describe('No settings.'),
  query: z.strictObject({}).describe('No query.'),
  open: () =>
    watching(async ({ queries, emit }) => {
      for (const { key } of queries)
        emit({
          kind: 'endpoints',
          key,
          endpoints: [{ id: 'one', address: '127.0.0.1', port: ${beta.port}, weight: 1, state: 'ready' }],
        });
    }),
});
`,
  );
  const myelin = place.run();
  await myelin.until('it serves', ({ stateReasons }) => isApplied(stateReasons));
  await servedBy(web, 'alpha');
  const config = await place.read('myelin.yaml');
  await place.write(
    'myelin.yaml',
    config.replace('allow', `  more: { bind: "127.0.0.1:${more}", from: { mine: {} } }\nallow`),
  );
  await servedBy(more, 'beta');
  const { exitCode, stdout } = await place.command('status');
  assert.deepEqual([exitCode, /more .*1/.test(stdout)], [0, true], stdout);
  myelin.kill('SIGTERM');
  assert.equal(await myelin.ended, 0, myelin.output);
});

test('the package is installed without a network and without other packages, and its command works', async () => {
  await using folder = await tempFolder();
  const prefix = join(folder.path, 'installed');
  // A cache of its own: what is in the usual one could be taken from there.
  const offline = ['--offline', '--no-audit', '--no-fund', '--cache', join(folder.path, 'cache')];
  await run('npm', ['install', '--global', '--prefix', prefix, ...offline, tarball]);
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
