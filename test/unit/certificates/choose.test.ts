/** Which certificates are served of what a folder has. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { choose } from '../../../src/certificates/choose.ts';
import type { Reading } from '../../../src/certificates/folder.ts';
import { inspect } from '../../../src/certificates/inspect.ts';

const now = Date.UTC(2026, 0, 1);
const a = { name: 'a', file: '/certs/a.pem', pem: 'text', names: ['a.test'], notAfter: now * 2, serial: '01' };
const empty: Reading = { entries: [], problem: null, paths: [] };
const read = (reading: Reading, before: readonly (typeof a)[]) =>
  choose({ reading, before: new Map(before.map((each) => [each.name, each])), inspect, folder: '/certs' }, now);

test('a folder in which there is nothing any more, as one that is not mounted, takes no certificate away', () => {
  const { certificates, problems } = read(empty, [a]);
  assert.deepEqual(certificates, [a]);
  assert.deepEqual(problems, [
    { name: '', file: '/certs', reason: 'there is no certificate in it any more', isKept: true },
  ]);
});

test('in a folder that never had any, nothing is wrong', () => {
  assert.deepEqual(read(empty, []), { certificates: [], problems: [], expiring: [] });
});

test('of two certificates, one whose file is gone goes', () => {
  const b = { name: 'b', file: '/certs/b.pem', kind: 'wrong', reason: 'it is empty' } as const;
  const { certificates } = read({ ...empty, entries: [b] }, [a, { ...a, name: 'b', file: b.file }]);
  assert.deepEqual(
    certificates.map(({ name }) => name),
    ['b'],
  );
});
