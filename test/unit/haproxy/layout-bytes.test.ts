/** The file as it is written behind commands equals the one that is laid out as a whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bytesOf } from '../../../src/haproxy/text/layout/bytes.ts';
import { optionSetsIn, textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { ChunkedList } from '../../../src/lib/chunked-list.ts';
import type { Section } from '../../../src/model.ts';

function section(kind: string, name: string, text: string): Section {
  return { kind, name, service: kind === 'backend' ? name : null, text, sharesOptions: true };
}

function backend(name: string, balance: string): Section {
  const text = `\nbackend ${name}\n    mode http\n    balance ${balance}\n    server a 10.0.0.1:80\n`;
  return section('backend', name, text);
}

const defaults = section('defaults', '', '\ndefaults\n    mode http\n');
const sets = [...optionSetsIn([defaults, backend('a', 'roundrobin')]).values()];
/** A section of a user's own with the name of a set, or of its base. */
const taken = sets
  .flatMap(({ name, base }) => [name, base.name])
  .map((name) => section('defaults', name, `defaults ${name}\n`));
const others: readonly Section[] = [
  section('global', '', 'global\n    maxconn 10\n'),
  defaults,
  section('defaults', '', '\ndefaults\n    mode tcp\n'),
  section('', '', '.if defined(X)\n'),
  section('', '', '.endif\n'),
  section('frontend', 'in', '\nfrontend in\n    bind :80\n'),
  section('map', '/a.map', 'a b\n'),
  ...taken,
];
const any = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.nat(30), fc.constantFrom('roundrobin', 'leastconn')) },
  { weight: 1, arbitrary: fc.constantFrom(...others) },
);
const edit = fc.tuple(fc.nat(40), fc.nat(2), fc.array(any, { maxLength: 2 }));

test('the bytes that follow changes of sections are those of all sections laid out at once', () => {
  fc.assert(
    fc.property(fc.array(any, { maxLength: 30 }), fc.array(edit, { maxLength: 12 }), (first, edits) => {
      const made = (each: Section | readonly [number, string]): Section =>
        'kind' in each ? each : backend(`service-${each[0]}`, each[1]);
      const chunks = new ChunkedList<Section>(({ name }) => /[05]$/.test(name));
      let sections = [...others.slice(0, 2), ...first.map(made)];
      for (const [at, gone, come] of [[0, 0, []] as const, ...edits]) {
        sections = sections.toSpliced(at, gone, ...come.map(made));
        assert.equal(bytesOf(chunks.of(sections)).toString(), textOf(sections));
      }
    }),
    { numRuns: 500 },
  );
});
