import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServices } from '../../../../watchers/file/parse.ts';
import {
  type Content,
  discoveredIn,
  discoveryTrouble,
  learn,
  nothingKnown,
  resultOf,
} from '../../../../watchers/file/results.ts';

function files(texts: Readonly<Record<string, string | null>>): ReadonlyMap<string, Content> {
  return new Map(Object.entries(texts).map(([name, text]) => [name, contentOf(name, text)]));
}

function contentOf(name: string, text: string | null): Content {
  if (text !== null) return { text: { kind: 'text', text }, parsed: parseServices(name, text) };
  const reason = `cannot read ${name}`;
  return { text: { kind: 'unreadable', reason }, parsed: { kind: 'invalid', reason } };
}

/** What is said of `service` after the folder held each of these in turn. */
function after(service: string, ...turns: readonly Readonly<Record<string, string | null>>[]): string {
  const update = resultOf(
    turns.reduce((known, texts) => learn(known, files(texts)), nothingKnown),
    service,
    service,
  );
  if (update.kind === 'endpoints')
    return [...update.endpoints, ...(update.unreadable ?? [])]
      .map((one) => ('reason' in one ? `left out: ${one.reason}` : one.id))
      .join(' ');
  return update.kind === 'stale' ? `stale: ${update.reason}` : update.kind;
}

const web = 'services: { web: ["10.0.0.1:80"] }';
const db = 'services: { db: ["10.0.0.2:80"] }';

test('the services of all files of a folder are joined', () => {
  assert.equal(after('web', { 'a.yaml': web, 'b.yaml': db }), '10.0.0.1:80');
  assert.equal(after('db', { 'a.yaml': web, 'b.yaml': db }), '10.0.0.2:80');
});

test('a service that stands in two files is as the first by name has it, and the other file is told', () => {
  const stolen = 'services:\n  web: ["10.6.6.6:80"]\n';
  const told = '10.0.0.1:80 left out: b.yaml:2:3: services.web counts as a.yaml has it, the first by name of file';
  assert.equal(after('web', { 'a.yaml': web, 'b.yaml': stolen }), told);
  assert.equal(after('web', { 'a.yaml': web }, { 'a.yaml': web, 'b.yaml': stolen }), told);
  assert.equal(after('web', { 'a.yaml': web, 'b.yaml': stolen }, { 'b.yaml': stolen }), '10.6.6.6:80');
  assert.match(
    after('web', { 'a.yaml': web, 'b.yaml': stolen }, { 'a.yaml': 'services: [', 'b.yaml': stolen }),
    /stale: a\.yaml/,
  );
});

test('a wrong entry is left out alone; a service without a list is stale alone, with those that no file names', () => {
  const folder = { 'a.yaml': 'services: { web: ["10.0.0.1:80", 7], db: }', 'b.yaml': 'services: { cache: [] }' };
  assert.match(after('web', folder), /^10\.0\.0\.1:80 left out: a\.yaml:1:34: services\.web\[1\]: /);
  assert.match(after('db', folder), /stale: a\.yaml:1:\d+: services\.db: expected a list/);
  assert.equal(after('cache', folder), '');
  assert.match(after('other', folder), /stale: a\.yaml:1:\d+: services\.db/);
});

test('a service that no file names has no endpoints', () => {
  assert.equal(after('other', { 'a.yaml': web }), '');
  assert.equal(after('web', { 'a.yaml': web, 'b.yaml': db }, { 'b.yaml': db }), '');
});

test('a broken file makes its own services stale, and those that it might name, but no others', () => {
  const folder = { 'a.yaml': web, 'b.yaml': db };
  assert.match(after('web', folder, { ...folder, 'a.yaml': 'services: [' }), /stale: a\.yaml:1:\d+: /);
  assert.match(after('web', folder, { ...folder, 'a.yaml': null }), /stale: cannot read a\.yaml/);
  assert.match(after('other', folder, { ...folder, 'a.yaml': 'services: [' }), /stale: a\.yaml/);
  assert.equal(after('db', folder, { ...folder, 'a.yaml': 'services: [' }), '10.0.0.2:80');
});

test('a mended file is believed again', () => {
  assert.equal(after('web', { 'a.yaml': web }, { 'a.yaml': '' }, { 'a.yaml': web }), '10.0.0.1:80');
});

test('before anything was read every service is stale', () => {
  assert.match(after('web'), /stale: /);
});

const offered = (name: string, options = '{}', endpoints = '[]'): string =>
  `services:\n  ${name}: { options: ${options}, endpoints: ${endpoints} }\n`;

function knownAfter(...turns: readonly Readonly<Record<string, string | null>>[]) {
  return turns.reduce((known, texts) => learn(known, files(texts)), nothingKnown);
}

test('services with options are discovered, those of the first file by name as the oldest', () => {
  const known = knownAfter({
    '/etc/10.yaml': offered('web', '{ listen: 10080 }'),
    '/etc/20.yaml': offered('db'),
    c: web,
  });
  assert.deepEqual(discoveredIn(known), [
    { key: '*web', name: 'web', owner: '10.yaml', createdAt: 0, options: { listen: '10080' } },
    { key: '*db', name: 'db', owner: '20.yaml', createdAt: 1, options: {} },
  ]);
  assert.equal(discoveryTrouble(known), null);
});

test('a file, or a service in it, that cannot be read takes no discovered service away, nor its options', () => {
  const good = { a: offered('web', '{ listen: 10080 }'), b: offered('db') };
  for (const broken of ['services: [', 'services: { web: }', offered('web', '5')]) {
    const known = knownAfter(good, { ...good, a: broken }, { ...good, a: broken });
    assert.deepEqual(
      discoveredIn(known).map(({ name, options }) => [name, options]),
      [
        ['web', { listen: '10080' }],
        ['db', {}],
      ],
      broken,
    );
    assert.match(discoveryTrouble(known) ?? '', /^a:\d+:\d+: /);
  }
  const mended = knownAfter(good, { ...good, a: 'services: [' }, { ...good, a: 'services: { web: [] }' });
  assert.deepEqual(
    discoveredIn(mended).map(({ name }) => name),
    ['db'],
  );
});
