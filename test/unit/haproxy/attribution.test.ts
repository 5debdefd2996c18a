/** One faulty service is quarantined; the others are not touched. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { attribute, emptyBackend, substitute } from '../../../src/haproxy/text/attribution.ts';
import { servicesAtLine } from '../../../src/haproxy/text/layout/layout.ts';
import type { Section } from '../../../src/model.ts';

const section = (kind: string, name: string, service: string | null, body = ''): Section => ({
  kind,
  name,
  service,
  text: `${kind} ${name}\n${body}`,
});
const global = section('global', '', null, '    maxconn 1\n');
const webIn = section('frontend', 'web:in', 'web', '    mode http\n');
const web = section('backend', 'web', 'web', '    mode http\n    server a 10.0.0.1:80\n');
const dbIn = section('frontend', 'db:in', 'db', '    mode tcp\n');
const db = section('backend', 'db', 'db', '    mode tcp\n');
const handMade = section('listen', 'old', null);
const sections = [global, webIn, web, dbIn, db, handMade];

test('a service that is held keeps its last good sections, in its place; the others keep theirs', () => {
  const lastGood = [
    section('frontend', 'web:in', 'web', '    # good\n'),
    section('backend', 'web', 'web', '    # good\n'),
  ];
  const held = substitute({ sections }, new Map([['web', lastGood]]));
  assert.deepEqual(held.sections, [global, ...lastGood, dbIn, db, handMade]);
  assert.ok([global, dbIn, db, handMade].every((kept) => held.sections.includes(kept)));
});

test('a service that was never good and has the name of another section becomes nothing, and no route leads to that section', () => {
  const map = { kind: 'map', name: '/x.map', text: 'a/ db\nb/ web\nc/ db|1|/v2\n', service: null };
  const other = section('listen', 'db', null);
  const held = substitute({ sections: [...sections, other, map] }, new Map([['db', null]]));
  assert.deepEqual(held.sections, [global, webIn, web, handMade, other, { ...map, text: 'b/ web\n' }]);
});

test('a service that was never good becomes an empty backend of its name and mode', () => {
  const held = substitute({ sections }, new Map([['db', null]]));
  assert.deepEqual(
    held.sections.map(({ kind, name }) => `${kind} ${name}`.trim()),
    ['global', 'frontend web:in', 'backend web', 'backend db', 'listen old'],
  );
  assert.deepEqual(held.sections[3], emptyBackend('db', 'tcp'));
  assert.match(emptyBackend('db', 'tcp').text, /\nbackend db\n {4}mode tcp\n$/);
});

test('without anything held, nothing is made anew', () => {
  const rendered = { sections };
  assert.equal(substitute(rendered, new Map()), rendered);
});

test('a line of the file belongs to the service whose section holds it', () => {
  const owners = Array.from({ length: 13 }, (_, at) => servicesAtLine(sections, at + 1)[0] ?? null);
  const expected = [null, null, 'web', 'web', 'web', 'web', 'web', 'db', 'db', 'db', 'db', null, null];
  assert.deepEqual(owners, expected);
});

test('a message of HAProxy’s is blamed on the service whose line or proxy it names', () => {
  const cases: readonly (readonly [string, number | undefined, string | null])[] = [
    ["'server web/a' : invalid port '99999'", undefined, 'web'],
    ["'server web/a' : invalid address", 7, 'web'],
    ["unknown keyword 'x' in 'backend' section", 8, 'db'],
    ["unable to find required default_backend: 'web'", 12, null],
    ['Starting frontend web:in: cannot bind socket (Address already in use) [127.0.0.1:80]', undefined, 'web'],
    ["Proxy 'db': unable to load SSL certificate", undefined, 'db'],
    ['Starting proxy db: cannot bind socket', undefined, 'db'],
    ["config : frontend 'db:in' has the same name as listen 'old'", undefined, 'db'],
    ["proxy 'old' has no timeouts", undefined, null],
    ['Cannot raise FD limit to 21028, limit is 20000.', undefined, null],
    ["unknown keyword 'backend' in 'defaults' section", undefined, null],
  ];
  for (const [message, line, service] of cases)
    assert.deepEqual(attribute(message, line, sections), service === null ? [] : [service], message);
});
