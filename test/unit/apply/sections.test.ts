/** What a file has in it that is older or newer than what is recorded of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sectionsLike } from '../../../src/apply/state/sections.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import type { Section } from '../../../src/model.ts';

const section = (name: string, text: string, more: Partial<Section> = {}): Section => ({
  kind: 'backend',
  name,
  text: `backend ${name}\n${text}`,
  service: name,
  ...more,
});
const map: Section = { kind: 'map', name: '/run/maps/public.map', text: '*/a/ a\n', service: null };
const other: Section = { ...map, name: '/run/maps/other.map' };

test('sections of a file that differs from the record are of the services that have their names there', () => {
  const written = [
    section('same', '    server s 192.0.2.1:80\n'),
    section('changed', '    server s 192.0.2.1:80\n'),
    section('unknown', ''),
  ];
  const recorded = [
    map,
    section('same', '    server s 192.0.2.1:80\n', { queryKey: 'its' }),
    section('added', ''),
    other,
    section('changed', '    server s 192.0.2.2:80\n', { queryKey: 'another' }),
  ];
  const found = sectionsLike(textOf(written), recorded, new Set([map]));
  assert.deepEqual(
    found.map(({ kind, name, service, queryKey }) => [kind, name, service, queryKey]),
    [
      ['map', map.name, null, undefined],
      ['backend', 'same', 'same', 'its'],
      ['backend', 'changed', 'changed', undefined],
      ['backend', 'unknown', null, undefined],
    ],
  );
  assert.equal(textOf(found), textOf(written));
});
