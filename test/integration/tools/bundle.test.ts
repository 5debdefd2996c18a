/** The command line as it is published: what a command does not need is not loaded with it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { before, test } from 'node:test';
import type { OutputChunk } from 'rolldown';
import { builtInTemplates } from '../../../src/settings/templates.ts';
import { tempFolder } from '../../support/index.ts';
import { bundle } from '../../tools/bundle.ts';

const ofConfig = ['yaml', 'zod'];

/** What is loaded at once; the packages of a source, only where one is configured. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'src/cli.ts': ['commander'],
  'src/commands/run.ts': ['handlebars', 'p-debounce', 'pino', 'prom-client', ...ofConfig],
  'src/commands/preview/check.ts': ['handlebars', ...ofConfig],
  'src/commands/preview/render.ts': ['handlebars', ...ofConfig],
  'src/commands/preview/plan.ts': ['diff', 'handlebars', ...ofConfig],
  'src/commands/instance/probe.ts': ['eventsource-parser'],
  'src/commands/instance/status.ts': ['eventsource-parser', ...ofConfig],
  'src/commands/instance/control.ts': ['eventsource-parser', ...ofConfig],
  'src/commands/setup/eject.ts': [],
  'watchers/file/watch.ts': ofConfig,
  'watchers/consul/watch.ts': ['consul', 'zod'],
};

/** What packages bring along. */
const within: Readonly<Record<string, readonly string[]>> = {
  consul: ['papi'],
  pino: [
    '@pinojs/redact',
    'atomic-sleep',
    'on-exit-leak-free',
    'pino-std-serializers',
    'quick-format-unescaped',
    'safe-stable-stringify',
    'sonic-boom',
    'thread-stream',
  ],
};

let chunks: ReadonlyMap<string, OutputChunk>;

before(async () => {
  await using folder = await tempFolder();
  chunks = new Map((await bundle(folder.path)).map((chunk) => [chunk.fileName, chunk]));
});

test('the published command line runs without any package beside it', () => {
  const others = [...chunks.values()].flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]);
  assert.deepEqual(
    others.filter((name) => !chunks.has(name) && !isBuiltin(name)),
    [],
  );
});

test('the built-in templates are compiled by then', async () => {
  const code = [...chunks.values()].map((chunk) => chunk.code).join('\n');
  for (const { file } of builtInTemplates())
    assert.ok(code.includes(JSON.stringify(await readFile(file, 'utf8'))), file);
});

for (const [module, expected] of Object.entries(packages))
  test(`${module} loads these packages, and no others: ${expected.join(', ') || 'none'}`, () => {
    const all = expected.flatMap((name) => [name, ...(within[name] ?? [])]).sort();
    assert.deepEqual(loadedWith(module), all);
  });

/** The packages that are loaded with the module and with what it imports. */
function loadedWith(module: string): readonly string[] {
  const own = [...chunks.values()].filter(({ moduleIds }) => moduleIds.some((id) => id.endsWith(`/${module}`)));
  assert.equal(own.length, 1, module);
  const loaded = new Set(own);
  // A set is gone through to its end, also where that moves.
  for (const { imports } of loaded)
    for (const chunk of imports.flatMap((name) => chunks.get(name) ?? [])) loaded.add(chunk);
  const modules = [...loaded].flatMap(({ moduleIds }) => moduleIds);
  const names = modules.flatMap((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []);
  return [...new Set(names)].sort();
}
