import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answer, learn, nothingKnown } from '../../watchers/file/answers.ts';
import type { Text } from '../../watchers/file/disk.ts';

function files(texts: Readonly<Record<string, string | null>>): ReadonlyMap<string, Text> {
  return new Map(
    Object.entries(texts).map(([name, text]) => [
      name,
      text === null ? { kind: 'unreadable', reason: `cannot read ${name}` } : { kind: 'text', text },
    ]),
  );
}

/** What is said of `service` after the folder held each of these in turn. */
function after(service: string, ...turns: readonly Readonly<Record<string, string | null>>[]): string {
  const update = answer(
    turns.reduce((known, texts) => learn(known, files(texts)), nothingKnown),
    service,
    service,
  );
  if (update.kind === 'endpoints') return update.endpoints.map(({ id }) => id).join(' ');
  return update.kind === 'stale' ? `stale: ${update.reason}` : update.kind;
}

const web = 'services: { web: ["10.0.0.1:80"] }';
const db = 'services: { db: ["10.0.0.2:80"] }';

test('the services of all files of a folder are joined', () => {
  assert.equal(after('web', { 'a.yaml': web, 'b.yaml': db }), '10.0.0.1:80');
  assert.equal(after('db', { 'a.yaml': web, 'b.yaml': db }), '10.0.0.2:80');
});

test('a service that stands in two files has no answer but the names of both', () => {
  assert.match(
    after('web', { 'a.yaml': web, 'b.yaml': web }),
    /stale: service "web" stands in both a\.yaml and b\.yaml/,
  );
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
