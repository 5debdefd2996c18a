/** The command line as it is published: what a command does not need is not loaded with it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
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
let licences: string;

before(async () => {
  await using folder = await tempFolder();
  chunks = new Map((await bundle(folder.path)).map((chunk) => [chunk.fileName, chunk]));
  licences = await readFile(join(folder.path, 'LICENSES'), 'utf8');
});

test('the published command line runs without any package beside it', () => {
  const others = [...chunks.values()].flatMap(({ imports, dynamicImports }) => [...imports, ...dynamicImports]);
  assert.deepEqual(
    others.filter((name) => !chunks.has(name) && !isBuiltin(name)),
    [],
  );
});

test('the built-in templates are compiled by then', () => {
  const code = [...chunks.values()].map((chunk) => chunk.code).join('\n');
  for (const { file, text } of builtInTemplates().values()) assert.ok(code.includes(JSON.stringify(text)), file);
});

test('the licence of each package that is part of it is beside it', () => {
  const names = new Set([...chunks.keys()].flatMap(packagesIn));
  assert.ok(names.size > 10);
  for (const name of names) assert.match(licences, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(.+\\)$`, 'm'));
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
  return [...new Set([...loaded].flatMap(({ fileName }) => packagesIn(fileName)))].sort();
}

function packagesIn(chunk: string): readonly string[] {
  const { moduleIds = [] } = chunks.get(chunk) ?? {};
  return moduleIds.flatMap((id) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1] ?? []);
}
