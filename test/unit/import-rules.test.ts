/** The rooms of the house and who may import whom: the one table of it. docs/architecture.md says what each is for. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, resolve } from 'node:path';
import { test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');

/** What every room may import. */
const common = ['src/model.ts', 'src/errors.ts'];

/** Each source is a room, and knows no other. */
const sources = globSync('watchers/*/', { cwd: root })
  .map((folder) => `${folder}/`)
  .filter((folder) => !['watchers/kit/', 'watchers/public/'].includes(folder));

/** A room, by its path, and the rooms that it may import. Of two that fit a file the longer one is its room. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  'src/errors.ts': [],
  'src/model.ts': [],
  'src/version.ts': ['src/lib/'],
  // Foundations know no stage.
  'src/lib/': [],
  'src/haproxy/': ['src/lib/'],
  'src/haproxy/resources/': ['src/haproxy/', 'src/lib/'],
  // A watcher knows the model and its own settings, and nothing behind it.
  'watchers/kit/': ['src/lib/'],
  // What authors of a watcher of their own import as `myelin/…`.
  'watchers/public/': ['watchers/kit/', 'src/lib/'],
  ...Object.fromEntries(sources.map((source) => [source, ['watchers/kit/', 'src/lib/']])),
  'watchers/': sources,
  // Who has which route of what services share.
  'src/routes/': ['src/lib/'],
  'src/config/': ['watchers/', 'watchers/kit/', 'src/haproxy/', 'src/routes/', 'src/lib/'],
  // What shared frontends show to clients that speak TLS.
  'src/certificates/': ['src/config/', 'src/lib/'],
  // The stages: none knows its neighbour.
  'src/catalog/': ['src/config/', 'src/lib/'],
  'src/sources/': ['watchers/kit/', 'src/catalog/', 'src/config/', 'src/lib/'],
  'src/render/': ['src/config/', 'src/haproxy/', 'src/routes/', 'src/lib/'],
  'src/plan/': ['src/haproxy/resources/', 'src/haproxy/', 'src/lib/'],
  'src/apply/': ['src/config/', 'src/haproxy/resources/', 'src/haproxy/', 'src/lib/'],
  'src/outputs/': ['src/config/', 'src/render/', 'src/lib/'],
  // Where plan meets apply.
  'src/reconcile/': [
    'src/catalog/',
    'src/settings/',
    'src/render/',
    'src/plan/',
    'src/apply/',
    'src/haproxy/resources/',
    'src/haproxy/',
    'src/lib/',
  ],
  'src/settings/': [
    'src/instance/',
    'src/report/',
    'src/outputs/',
    'src/catalog/',
    'src/render/',
    'src/config/',
    'src/haproxy/',
    'src/lib/',
  ],
  'src/instance/': [
    'src/sources/',
    'src/outputs/',
    'src/catalog/',
    'src/certificates/',
    'src/settings/',
    'src/reconcile/',
    'src/apply/',
    'src/report/',
    'src/lib/',
  ],
  'src/main.ts': [
    'src/instance/',
    'src/sources/',
    'src/outputs/',
    'src/catalog/',
    'src/settings/',
    'src/reconcile/',
    'src/lib/',
  ],
  // What is told and asked of a running Myelin: these read, and nothing of the above depends on them.
  'src/report/': [
    'src/instance/',
    'src/settings/',
    'src/reconcile/',
    'src/plan/',
    'src/apply/',
    'src/outputs/',
    'src/catalog/',
    'src/certificates/',
    'src/config/',
    'src/routes/',
    'src/haproxy/resources/',
    'src/haproxy/',
    'src/lib/',
  ],
  'src/http/': ['src/page/', 'src/report/', 'src/reconcile/', 'src/config/', 'src/lib/'],
  // What a browser shows; of the rest of the house it has the types, and words.
  'src/page/': ['src/report/'],
  'src/demo/': ['src/lib/'],
  'src/commands/': [
    'src/main.ts',
    'src/instance/',
    'src/version.ts',
    'src/demo/',
    'src/http/',
    'src/report/',
    'src/settings/',
    'src/sources/',
    'src/outputs/',
    'src/catalog/',
    'src/certificates/',
    'src/render/',
    'src/plan/',
    'src/reconcile/',
    'src/apply/',
    'src/config/',
    'src/haproxy/resources/',
    'src/haproxy/',
    'src/lib/',
    'watchers/file/',
  ],
  'src/cli.ts': ['src/commands/', 'src/report/', 'src/version.ts'],
};

/** Who imports a package; none has others. */
const importers: Readonly<Record<string, readonly string[]>> = {
  '@kubernetes/client-node': ['watchers/kubernetes/'],
  commander: ['src/cli.ts', 'src/commands/command-line.ts'],
  consul: ['watchers/consul/'],
  diff: ['src/plan/printed-diff.ts'],
  'eventsource-parser': ['src/http/client.ts', 'src/page/app/'],
  handlebars: ['src/render/templates/engine.ts'],
  'p-debounce': ['src/lib/time/debounce.ts'],
  pino: ['src/report/log.ts'],
  preact: ['src/page/app/'],
  'prom-client': ['src/report/metrics.ts'],
  rolldown: ['src/page/bundle.ts'],
  yaml: ['src/config/', 'watchers/'],
  zod: ['src/config/', 'src/sources/', 'src/lib/', 'src/reconcile/', 'src/apply/', 'watchers/'],
};

/** Catalog, render, plan, resources and what makes the outputs are pure: no I/O, no timers, no clock. */
const pure = [
  'src/catalog/',
  'src/render/',
  'src/plan/',
  'src/routes/',
  'src/haproxy/resources/',
  'src/outputs/built-in.ts',
  'src/outputs/encode.ts',
  'src/outputs/own-template.ts',
];
const pureModules = ['node:util', 'node:crypto', 'node:path'];

/** What operators say of servers is about servers. */
const aboutServers = ['src/reconcile/overrides/enforce-override.ts'];

type Import = { readonly from: string; readonly to: string; readonly isTypeOnly: boolean };

const files = globSync('{src,watchers}/**/*.{ts,tsx}', { cwd: root });
const imports = files.flatMap(importsOf);

test('each file has a room, and imports what the table allows that room', () => {
  const homeless = files.filter((file) => roomOf(file) === null).map((file) => `${file} has no room`);
  const wrong = imports.flatMap(({ from, to }) => {
    const [own, other] = [roomOf(from), roomOf(to)];
    if (own === null || !isPath(to) || own === other || common.includes(to)) return [];
    return other !== null && rooms[own]?.includes(other) ? [] : [`${from} imports ${to}`];
  });
  assert.deepEqual([...homeless, ...wrong], []);
});

test('every import that the table allows is made: what nobody needs any more is not allowed', () => {
  const made = new Set(imports.map(({ from, to }) => `${roomOf(from)} -> ${roomOf(to)}`));
  const allowed = Object.entries(rooms).flatMap(([room, others]) => others.map((other) => `${room} -> ${other}`));
  assert.deepEqual(
    allowed.filter((each) => !made.has(each)),
    [],
  );
});

test('what plans, applies and proves changes knows the list of resources, and no resource by itself', () => {
  const wrong = imports.flatMap(({ from, to }) => {
    const loops = ['src/plan/', 'src/apply/', 'src/reconcile/'].some((room) => from.startsWith(room));
    const isOne = /^src\/haproxy\/resources\/[^/]+\//.test(to);
    return loops && isOne && !aboutServers.includes(from) ? [`${from} imports ${to}`] : [];
  });
  assert.deepEqual(wrong, []);
});

test('what reads a running Myelin knows it by its types alone, and so does the instance what is reported', () => {
  const wrong = imports.filter(({ from, to, isTypeOnly }) => {
    const own = roomOf(from);
    const other = roomOf(to);
    const isByTypes = (own === 'src/instance/' && other === 'src/report/') || other === 'src/instance/';
    return isByTypes && own !== other && own !== 'src/main.ts' && !isTypeOnly;
  });
  assert.deepEqual(wrong, []);
});

test('each package has its few importers, and the pure stages import nothing that does I/O, waits or tells the time', () => {
  const wrong = imports.flatMap(({ from, to }) => {
    if (isPath(to) || to.startsWith('#')) return [];
    if (to.startsWith('node:'))
      return pure.some((room) => from.startsWith(room)) && !pureModules.includes(to) ? [`${from} imports ${to}`] : [];
    const name = to.startsWith('@') ? to.split('/').slice(0, 2).join('/') : (to.split('/')[0] ?? '');
    return importers[name]?.some((its) => from.startsWith(its)) ? [] : [`${from} imports ${to}`];
  });
  assert.deepEqual(wrong, []);
});

function roomOf(path: string): string | null {
  const fitting = Object.keys(rooms).filter((room) => path === room || (room.endsWith('/') && path.startsWith(room)));
  return fitting.toSorted((a, b) => b.length - a.length)[0] ?? null;
}

function importsOf(from: string): readonly Import[] {
  const text = readFileSync(join(root, from), 'utf8');
  return [...text.matchAll(/^(?:import|export)\s(type\s)?[^'"]*?from\s'([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    ([, type, named, dynamic]) => {
      const to = named ?? dynamic ?? '';
      return { from, to: isPath(to) ? normalize(join(dirname(from), to)) : to, isTypeOnly: type !== undefined };
    },
  );
}

function isPath(specifier: string): boolean {
  return /^\.|^(src|watchers)\//.test(specifier);
}
