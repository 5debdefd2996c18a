/** A watcher of one's own, as the docs show it: `myelin run` with it, and its author's test of it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { type Backend, startBackends } from '../../servers/backend.ts';
import { ask } from '../../servers/steady.ts';
import { isApplied } from '../../support/applied.ts';
import { freePort, tempFolder, until } from '../../support/index.ts';
import { workplace } from '../../support/sites/myelin.ts';
import { installPackage } from '../../tools/bundle.ts';

const root = resolve(import.meta.dirname, '../../..');
const example = join(root, 'docs/watchers/example');

/** As an author has it. */
const typesOnly = {
  compilerOptions: {
    module: 'nodenext',
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
  },
};

test('`myelin run` serves what a watcher of one’s own finds, and tells of its failures as of any other', async () => {
  await using backends = await startBackends(['alpha', 'beta']);
  const { alpha, beta } = backends;
  const at = ({ address, port }: Backend): string => `${address}:${port}`;
  let served: Readonly<Record<string, readonly string[]>> | null = { web: [at(alpha)] };
  const server = createServer((_, response) => {
    response.writeHead(served === null ? 503 : 200);
    response.end(JSON.stringify(served ?? {}));
  });
  await using _ = { [Symbol.asyncDispose]: async () => void server.close() };
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const port = await freePort();
  await using place = await workplace(`
watchers: { mine: { type: ./http-json.ts, url: "${url}", interval: 50ms } }
services: { web: { bind: "127.0.0.1:${port}" } }
allowAddresses: [127.0.0.0/8]
haproxy: { log: none }
probes: { listen: "off" }
`);
  await copyFile(join(example, 'http-json.ts'), place.path('http-json.ts'));
  const { exitCode, stderr } = await place.command('check');
  assert.equal(exitCode, 0, stderr);

  const myelin = place.run();
  await myelin.until('it is ready', ({ stateReasons }) => isApplied(stateReasons));
  assert.equal(await ask(port), 'alpha');
  served = { web: [at(beta)] };
  await until('the other serves', async () => (await ask(port)) === 'beta');
  served = null;
  await myelin.until('the failure is told', ({ sources }) => sources.some(({ down }) => down?.reason.includes('503')));
  assert.equal(await ask(port), 'beta');

  served = { web: [at(alpha)] };
  const text = await place.read('http-json.ts');
  await place.write('http-json.ts', text.replace('weight: 1', 'weight: 7'));
  await until('what the module is now counts', async () => / weight 7/.test(await place.read('run/haproxy.cfg')));
  assert.equal(await ask(port), 'alpha');
});

test('a watcher of one’s own that does not stop keeps neither an edit of the config nor the end of Myelin waiting for ever', async () => {
  await using backends = await startBackends(['alpha']);
  const { address, port: backendPort } = backends.alpha;
  const port = await freePort();
  const config = (watcher: string): string => `
watchers: { mine: ${watcher} }
services: { web: { bind: "127.0.0.1:${port}" } }
haproxy: { log: none }
probes: { listen: "off" }
`;
  await using place = await workplace(config('{ type: ./own.ts, required: false }'));
  await place.write(
    'own.ts',
    `import { defineSource, z } from 'myelin/watcher';
export const source = defineSource({
  type: 'own', settings: z.strictObject({}), query: z.strictObject({}),
  open: () => async function* () {
    setInterval(() => {}, 1000);
    await new Promise(() => {});
  },
});
`,
  );
  await place.write('services.yaml', `services: { web: ["${address}:${backendPort}"] }\n`);
  const myelin = place.run();
  await myelin.until('it runs', ({ sources }) => sources.length === 1);
  await place.write('myelin.yaml', config('{ type: file, path: services.yaml, required: false }'));
  await until('the edit is live', async () => (await ask(port)) === 'alpha');
  const hangs = /"msg":"watcher did not end when it was stopped, going on without it"/g;
  assert.equal(myelin.output.match(hangs)?.length, 1);

  await place.write('myelin.yaml', config('{ type: ./own.ts, required: false }'));
  const readAgain = /"msg":"config and templates read again"/g;
  await until('the watcher runs again', () => myelin.output.match(readAgain)?.length === 2);
  myelin.kill('SIGTERM');
  assert.equal(await myelin.ended, 0);
  assert.equal(myelin.output.match(hangs)?.length, 2);
});

test('the author of a watcher runs the contract over it with the package that is published', async () => {
  await using folder = await tempFolder();
  const installed = join(folder.path, 'node_modules/myelin');
  await installPackage(installed);
  await symlink(join(root, 'node_modules'), join(installed, 'node_modules'));
  const run = promisify(execFile);
  await run('tsc', ['-p', join(root, 'tsconfig.types.json'), '--outDir', join(installed, 'dist')]);
  for (const file of ['http-json.ts', 'http-json.test.ts'])
    await copyFile(join(example, file), join(folder.path, file));
  await writeFile(join(folder.path, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder.path, 'tsconfig.json'), JSON.stringify(typesOnly));
  await symlink(join(root, 'node_modules/@types'), join(folder.path, 'node_modules/@types'));
  await run('tsc', ['-p', folder.path]);
  const { stdout } = await run(process.execPath, ['--test', 'http-json.test.ts'], {
    cwd: folder.path,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  assert.match(stdout, /fail 0/);
});
