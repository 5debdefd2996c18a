/** Backends share what they have in common: written once, and meaning the same. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { attribute, wordsOf } from '../../../src/haproxy/text/attribution.ts';
import {
  optionSetOf,
  optionSetsIn,
  placedLines,
  sectionsIn,
  servicesAtLine,
  textOf,
} from '../../../src/haproxy/text/layout/layout.ts';
import { linesOf, splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';

const global: Section = { kind: 'global', name: '', service: null, text: '# Mine.\n\nglobal\n    maxconn 10\n' };
const defaults: Section = {
  kind: 'defaults',
  name: '',
  service: null,
  text: '\ndefaults\n    mode http\n    # Short.\n    timeout connect 5s\n',
};
const plain = ['mode http', 'balance leastconn', 'timeout server 10s'];
const servers = ['server a 10.0.0.1:80 weight 10', 'server b 10.0.0.2:80 weight 10'];

function backend(name: string, options: readonly string[] = plain, its: readonly string[] = servers): Section {
  const text = `\nbackend ${name}\n${[...options, ...its].map((line) => `    ${line}\n`).join('')}`;
  return { kind: 'backend', name, service: name, text, sharesOptions: true };
}

function setOf(section: Section, sections: readonly Section[]): string {
  const its = optionSetOf(section, sections);
  return 'set' in its ? its.set.name : its.because;
}

test('what backends have in common is written once, before `defaults`, and each says `from` and its name', () => {
  const text = textOf([
    global,
    defaults,
    backend('shop'),
    backend('cart'),
    backend('db', ['mode tcp', 'balance source']),
  ]);
  assert.equal(
    text.replaceAll(/[0-9a-f]{8}/g, 'HASH'),
    `# Mine.

global
    maxconn 10

# What backends have in common is written once: each says \`from\` and its name.
defaults base-HASH
    mode http
    timeout connect 5s

defaults http-leastconn-HASH from base-HASH
    mode http
    balance leastconn
    timeout server 10s

defaults tcp-source-HASH from base-HASH
    mode tcp
    balance source

defaults
    mode http
    # Short.
    timeout connect 5s

backend shop from http-leastconn-HASH
    server a 10.0.0.1:80 weight 10
    server b 10.0.0.2:80 weight 10

backend cart from http-leastconn-HASH
    server a 10.0.0.1:80 weight 10
    server b 10.0.0.2:80 weight 10

backend db from tcp-source-HASH
    server a 10.0.0.1:80 weight 10
    server b 10.0.0.2:80 weight 10
`,
  );
});

test('a backend stays whole where its lines could mean something else elsewhere, and it is known why', () => {
  const cases: readonly (readonly [because: RegExp, options: readonly string[], its?: readonly string[]])[] = [
    [/`stick-table` cannot be shared/, ['stick-table type ip size 1m']],
    [/`filter` cannot be shared/, ['filter compression']],
    [/`http-request track-sc0` cannot be shared/, ['http-request track-sc0 src']],
    [/`http-request` refers to what it stands in/, ['http-request deny if { nbsrv lt 1 }']],
    [/`http-request` refers to what it stands in/, ['http-request deny if { sc_http_req_rate(0) gt 10 }']],
    [/`option httplog` cannot be shared/, ['no option httplog']],
    [/`\.if` cannot be shared/, ['.if streq(a,b)', 'timeout queue 1s', '.endif']],
    [/`mode` cannot be read for certain/, ['mode "$MODE"']],
    [/`timeout` stands after a server/, plain, [...servers, 'timeout queue 1s']],
  ];
  for (const [because, options, its] of cases) {
    const odd = backend('odd', options, its);
    const sections = [global, defaults, odd];
    assert.match(setOf(odd, sections), because);
    assert.equal(textOf(sections), sections.map(({ text }) => text).join(''));
  }
});

test('what only reads like an expression keeps no backend from sharing', () => {
  for (const line of [
    'timeout queue 1s',
    'no option redispatch',
    'cookie srv_id insert',
    'errorfile 503 /srv/be_503.http',
  ]) {
    const shop = backend('shop', [line]);
    assert.match(setOf(shop, [global, defaults, shop]), /^http-roundrobin-/, line);
  }
});

test('a backend stays whole where it is not known what it inherits', () => {
  const shop = backend('shop');
  const other = (text: string): Section => ({ ...defaults, text });
  const from: Section = { ...shop, text: shop.text.replace('backend shop', 'backend shop from mine') };
  const { sharesOptions: _, ...old } = shop;
  const cases: readonly (readonly [RegExp, Section, readonly Section[]])[] = [
    [/not written so for this HAProxy/, old, [global, defaults, old]],
    [/no `defaults` section stands before it/, shop, [global, shop, defaults]],
    [/no `defaults` section stands before it/, shop, [global, shop]],
    [/more than the name/, from, [global, { ...defaults, name: 'mine' }, from]],
    [/inherits itself/, shop, [global, defaults, { ...other('defaults b from a\n    mode tcp\n'), name: 'b' }, shop]],
    [/has rules or macros/, shop, [global, other('defaults\n    .if true\n    mode tcp\n    .endif\n'), shop]],
    [/has rules or macros/, shop, [global, { ...other('defaults a\n    acl x path /\n'), name: 'a' }, shop]],
    [/depends on an `\.if`/, shop, [{ ...global, text: 'global\n.if true\n' }, defaults, shop]],
    [/it is not in the file/, shop, [global, defaults]],
  ];
  for (const [because, section, sections] of cases) {
    assert.match(setOf(section, sections), because);
    assert.equal(textOf(sections), sections.map(({ text }) => text).join(''));
  }
});

test('backends that inherit from different `defaults` sections share nothing, and a name that is taken is not used', () => {
  const [shop, cart] = [backend('shop'), backend('cart')];
  const second: Section = { ...defaults, text: 'defaults\n    mode http\n    timeout connect 9s\n' };
  const sections = [global, defaults, shop, second, cart];
  const [one, two] = [setOf(shop, sections), setOf(cart, sections)];
  assert.notEqual(one, two);
  assert.deepEqual([...optionSetsIn(sections).keys()].toSorted(), [one, two].toSorted());
  const taken: Section = { ...defaults, name: one, text: `defaults ${one}\n    mode tcp\n` };
  assert.match(setOf(shop, [global, defaults, shop, taken]), /another section is named/);
});

test('a set has the same name for equal lines, whoever has them, and is known by its content', () => {
  const before = [global, defaults, backend('shop')];
  const cart = backend('cart');
  const started = optionSetsIn(before);
  const its = optionSetOf(cart, [...before, cart]);
  assert.ok('set' in its);
  assert.equal(started.get(its.set.name)?.text, its.set.text);
  const other = optionSetOf(backend('db', ['mode tcp']), before);
  assert.ok('because' in other);
});

test('a line that is shared is a line of each service that has it; any other of the one that it stands in', () => {
  const sections = [global, defaults, backend('shop'), backend('cart'), backend('db', ['mode tcp'])];
  const lines = linesOf(textOf(sections));
  const at = (line: string): readonly string[] => servicesAtLine(sections, lines.indexOf(line) + 1);
  assert.deepEqual(at('    timeout server 10s'), ['shop', 'cart']);
  assert.deepEqual(at('    mode tcp'), ['db']);
  assert.deepEqual(at('    maxconn 10'), []);
  assert.deepEqual(servicesAtLine(sections, lines.lastIndexOf('    timeout connect 5s') + 1), []);
  assert.deepEqual(servicesAtLine(sections, lines.indexOf('    timeout connect 5s') + 1), []);
  assert.deepEqual(servicesAtLine(sections, lines.length), ['db']);
  assert.deepEqual(servicesAtLine(sections, lines.length + 1), []);
  const set = setOf(sections[2] ?? global, sections);
  assert.deepEqual(attribute(`defaults '${set}' is not to be had`, undefined, sections), ['shop', 'cart']);
  const problem = { message: 'wrong', line: lines.indexOf('    timeout server 10s') + 1, service: null };
  assert.ok(wordsOf([problem], sections).has('10s'));
});

test('the place of a line is its number in the file as it is written', () => {
  const stats: Section = { kind: 'frontend', name: 'in', service: null, text: 'frontend in\n    bind :80\n' };
  const sections = [global, defaults, backend('shop'), stats];
  const lines = linesOf(textOf(sections));
  for (const { text, number } of placedLines(sections)) assert.equal(lines[number - 1], text);
  assert.equal(placedLines(sections).at(-1)?.number, lines.length);
});

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,6}$/);
const options = fc.uniqueArray(
  fc.constantFrom(
    'mode http',
    'mode tcp',
    'balance leastconn',
    'option httpchk',
    'http-check send meth GET uri /healthz',
    '# A comment.',
    '',
    'http-request set-header x "a # b"',
    'default-server check inter 2s',
    'stick-table type ip size 1m',
    'cookie S insert',
  ),
);
const file = fc
  .record({
    names: fc.uniqueArray(word, { maxLength: 6 }),
    options: fc.array(options, { minLength: 6, maxLength: 6 }),
    counts: fc.array(fc.nat(3), { minLength: 6, maxLength: 6 }),
    second: fc.option(fc.nat(5)),
  })
  .map(({ names, options, counts, second }) => [
    global,
    defaults,
    ...names.flatMap((name, at) => {
      const count = counts[at] ?? 0;
      const its = Array.from({ length: count }, (_, n) => `server s${n} 10.0.0.${n + 1}:80`);
      const between: Section = { ...defaults, text: 'defaults\n    mode tcp\n    timeout connect 1s\n' };
      return [...(second === at ? [between] : []), backend(name, options[at] ?? [], its)];
    }),
  ]);

test('reading a file back gives the sections that it was written from, to the byte', () => {
  fc.assert(
    fc.property(file, (sections) => {
      const text = textOf(sections);
      const read = sectionsIn(text);
      assert.equal(textOf(read), text);
      const joined = (all: readonly Section[]): string => all.map((section) => section.text).join('');
      assert.equal(joined(read), joined(sections));
      assert.deepEqual(
        read.map(({ kind, name }) => `${kind} ${name}`),
        sections.map(({ kind, name }) => `${kind} ${name}`),
      );
    }),
  );
});

test('equal sections are written as equal bytes, whatever was written before', () => {
  fc.assert(
    fc.property(file, (sections) => {
      const text = textOf(sections);
      assert.equal(textOf(sections.map((section) => ({ ...section }))), text);
      textOf(sections.toReversed());
      assert.equal(textOf(sections), text);
    }),
  );
});

test('one added server moves no other line', () => {
  fc.assert(
    fc.property(file, fc.nat(), (sections, at) => {
      const backends = sections.filter(({ kind, text }) => kind === 'backend' && !/# A comment\.\n$|\n\n$/.test(text));
      const chosen = backends[at % Math.max(backends.length, 1)];
      fc.pre(chosen !== undefined);
      const before = linesOf(textOf(sections));
      const more = sections.map((each) =>
        each === chosen ? { ...each, text: `${each.text}    server new 10.0.0.9:80\n` } : each,
      );
      const after = linesOf(textOf(more));
      assert.deepEqual(after.toSpliced(after.indexOf('    server new 10.0.0.9:80'), 1), before);
    }),
  );
});

test('a file that Myelin has not written so is read as it stands', () => {
  const text = textOf([global, defaults, backend('shop')]);
  for (const edited of [text.replace('timeout server 10s', 'timeout server 99s'), text.replace('# What', '# Who')])
    assert.deepEqual(sectionsIn(edited), splitSections(edited));
  const theirs = 'defaults a\n    mode tcp\n\ndefaults\n    mode http\n\nbackend b from a\n    server s 10.0.0.1:80\n';
  assert.deepEqual(sectionsIn(theirs), splitSections(theirs));
});

test('a server that is changed by hand in the file is read as it stands there', () => {
  const text = textOf([global, defaults, backend('shop'), backend('cart')]).replace('10.0.0.1:80', '10.0.0.7:80');
  const [, , shop] = sectionsIn(text);
  assert.match(shop?.text ?? '', /^\nbackend shop\n {4}mode http\n[\s\S]*server a 10\.0\.0\.7:80/);
});
