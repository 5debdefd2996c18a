/** Templates: what their authors are told, and that no value can do more than be printed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../src/errors.ts';
import { tokenise } from '../../../src/haproxy/text/text.ts';
import { createEngine } from '../../../src/render/templates/engine.ts';
import { fromConfig, fromSource } from '../../../src/render/templates/value.ts';

const engineOf = (text: string, others: Readonly<Record<string, string>> = {}) =>
  createEngine(
    new Map(
      Object.entries({ main: text, ...others }).map(([name, own]) => [name, { file: `/t/${name}.hbs`, text: own }]),
    ),
  );
const render = (text: string, context: object = {}): string => engineOf(text)('main', context);

/** The message of what `work` throws. */
function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === 'MYELIN_TEMPLATE_INVALID', String(error));
    return error.message;
  }
  return assert.fail('nothing was thrown');
}

test('what cannot be parsed is told when it is loaded, with file, line, column and the line itself', () => {
  assert.equal(
    messageOf(() => engineOf('global\n    log {{haproxy.log }x\n')),
    '/t/main.hbs:2:23: this is not what a template can hold here\n  2 |     log {{haproxy.log }x\n    |                       ^',
  );
  assert.equal(
    messageOf(() => engineOf('a\n{{#if b}}\nc\n')),
    '/t/main.hbs:4:1: the template ends while a block or a {{ is still open\n  4 | \n    | ^',
  );
  assert.equal(
    messageOf(() => engineOf('abc\n  {{#each x}}\n{{/if}}')),
    "/t/main.hbs:2:6: each doesn't match if\n  2 |   {{#each x}}\n    |      ^",
  );
  assert.equal(
    messageOf(() => engineOf('x\n  {{qoute name}}')),
    '/t/main.hbs:2:3: there is no helper "qoute"; did you mean "quote"?\n  2 |   {{qoute name}}\n    |   ^',
  );
  assert.equal(
    messageOf(() => engineOf('\n{{> nobody}}', { other: '' })),
    '/t/main.hbs:2:1: there is no template "nobody" to include; there are other\n  2 | {{> nobody}}\n    | ^',
  );
});

test('a template that holds NUL is not parsed', () => {
  assert.match(
    messageOf(() => engineOf('ab\nc\0d')),
    /^\/t\/main\.hbs:2:2: this is not what a template can hold here/,
  );
});

test('a parse error is found among lines that look alike', () => {
  const text = `${'    option {{mode}}log\n'.repeat(3)}    option {{mode}log\n`;
  assert.match(
    messageOf(() => engineOf(text)),
    /^\/t\/main\.hbs:4:18: /,
  );
});

test('a field that is not there is named, with its place and the field that was meant', () => {
  assert.equal(
    messageOf(() => render('mode http\n  balance {{balnce}}', { balance: 'first' })),
    '/t/main.hbs:2:13: there is no field "balnce" here; did you mean "balance"?\n  2 |   balance {{balnce}}\n    |             ^',
  );
  assert.match(
    messageOf(() => render('{{meta.zone}}', { meta: {} })),
    /^\/t\/main\.hbs:1:3: there is no field "zone" here\n/,
  );
  assert.equal(render('{{or meta.zone "none"}}', { meta: {} }), 'none');
});

test('an error in an included template names that template', () => {
  const engine = engineOf('a\n  {{> part}}', { part: 'b\n{{nope}}' });
  assert.match(
    messageOf(() => engine('main', {})),
    /^\/t\/part\.hbs:2:3: there is no field "nope" here/,
  );
});

test('an error in a helper has the helper’s name and its place', () => {
  assert.equal(
    messageOf(() => render('a\n {{#if b}}{{sampleArgument b}}{{/if}}', { b: 'x)' })),
    '/t/main.hbs:2:11: sampleArgument: "x)" cannot stand in parentheses: letters, digits and _ . : / @ + = ~ ^ ! * ? - can\n' +
      '  2 |  {{#if b}}{{sampleArgument b}}{{/if}}\n    |           ^',
  );
  assert.match(
    messageOf(() => render('{{word nothing}}')),
    /^\/t\/main\.hbs:1:1: word: there is no value\n/,
  );
  assert.match(
    messageOf(() => render('{{eq 1}}')),
    /eq: takes 2 arguments, not 1: \(eq A B\)/,
  );
});

test('templates that include each other without end are an error', () => {
  const engine = engineOf('{{> part}}', { part: '{{> main}}' });
  assert.match(
    messageOf(() => engine('main', {})),
    /^\/t\/(main|part)\.hbs: Maximum call stack size exceeded/,
  );
});

test('nothing is escaped as HTML, and haproxy’s own braces, percent signs and dollars are left alone', () => {
  assert.equal(
    render('{{a}} %[src] { path_beg /a } ${X} \\{{b}}', { a: 'a=b & "c"' }),
    'a=b & "c" %[src] { path_beg /a } ${X} {{b}}',
  );
});

test('helpers compare, choose and join, whether a value comes from a source or not', () => {
  const context = {
    a: fromSource('x'),
    b: 'x',
    n: 5,
    none: null,
    tags: [fromSource('blue'), fromSource('a b')],
    list: ['p', 'q'],
    meta: { zone: fromSource('z') },
  };
  assert.equal(
    render(
      '{{#if (eq a b)}}1{{/if}}{{#if (eq n "5")}}2{{/if}}{{#if (eq a none)}}3{{/if}}{{#if (eq none none)}}4{{/if}}',
      context,
    ),
    '12',
  );
  assert.equal(
    render('{{#if (not none)}}1{{/if}}{{#if (and a n)}}2{{/if}}{{#if (and a none)}}3{{/if}}{{or none n}}', context),
    '125',
  );
  assert.equal(
    render(
      '{{#if (has tags "a b")}}1{{/if}}{{#if (has tags "c")}}2{{/if}}{{#if (has meta "zone")}}3{{/if}}{{#if (has none "x")}}4{{/if}}',
      context,
    ),
    '13',
  );
  assert.equal(
    render('{{join list ","}} {{join tags ","}} {{quote (join tags ",")}} [{{join empty ","}}]', {
      ...context,
      empty: [],
    }),
    'p,q blue,a\\x20b "blue,a b" []',
  );
  assert.equal(render('{{#if (atLeast v "2.6")}}1{{/if}}{{#if (atLeast v "3.0")}}2{{/if}}', { v: '2.6.12-1' }), '1');
});

test('helpers take a text apart; what comes of a value of a source still encodes itself', () => {
  const context = {
    tags: [fromSource('a'), fromSource('weight=10'), fromSource('x=a b')],
    name: fromSource('db-1.dc 1'),
  };
  const all = {
    '{{tagged tags "weight"}} {{tagged tags "x"}} {{or (tagged tags "none") 7}}': '10 a\\x20b 7',
    '{{number "10"}} {{number "-0.5"}} {{or (number "1e3") 1}} {{or (number missing) 2}}': '10 -0.5 1 2',
    '{{lessThan 2 "10"}} {{lessThan "b" 10}} {{lessThan 10 2}}': 'true false false',
    '{{part name "." 1}} {{part name "." -1}} {{or (part name "." 3) "none"}}': 'db-1 dc\\x201 none',
    '{{replace name "-" "_"}} {{replace "a.b.c" "." ""}}': 'db_1.dc\\x201 abc',
    '{{lower "Shop.Example"}} {{or (lower missing) "none"}}': 'shop.example none',
    '{{startsWith name "db-"}} {{endsWith name "dc"}} {{startsWith missing "a"}}': 'true false false',
  };
  for (const [text, printed] of Object.entries(all)) assert.equal(render(text, context), printed, text);
});

test('a value encodes itself when it is printed', () => {
  assert.equal(
    render('{{a}} {{{a}}} {{word a}} {{logFormat a}}', { a: fromSource('a b%') }),
    'a\\x20b%% a\\x20b%% "a b%" "a b%%"',
  );
  assert.equal(render('{{a}}', { a: fromConfig('/run/m y.sock') }), '"/run/m y.sock"');
});

test('whatever a template’s author forgot, a value stays one word in its line', () => {
  const hostile = fc
    .oneof(
      fc.string({ unit: 'binary-ascii', minLength: 1 }),
      fc
        .array(
          fc.constantFrom('\n', '\r', '"', "'", '\\', '#', ' ', '$X', '%[src]', 'é', '\u2028', 'server', '}}', '{{x}}'),
          {
            minLength: 1,
          },
        )
        .map((all) => all.join('')),
    )
    .filter((text) => !text.includes('\0'));
  const template = [
    'a {{v}} b',
    'a {{{v}}} b',
    'a "{{v}}" b',
    "a '{{v}}' b",
    'a x{{v}}y b',
    'a b # {{v}}',
    '{{#with m}}{{#each t}}a {{this}} b\n{{/each}}{{lookup . "k"}} {{k.text}}{{/with}}',
    '{{join m.t " "}} {{or v "x"}} {{m.t}}',
  ].join('\n');
  const engine = engineOf(template.replace(' {{k.text}}', ''));
  fc.assert(
    fc.property(hostile, (text) => {
      const value = fromSource(text);
      const lines = engine('main', { v: value, m: { t: [value, value], k: value } }).split('\n');
      assert.equal(lines.length, 10);
      assert.deepEqual(
        lines.map((line) => tokenise(line).words.length),
        [3, 3, 3, 3, 3, 2, 3, 3, 1, 3],
      );
      for (const line of lines.slice(0, 5)) assert.equal(tokenise(line).words[2], 'b');
    }),
  );
});

test('the text behind a value cannot be reached but through a helper', () => {
  const v = fromSource('a b');
  for (const path of ['v.text', 'v.toString', 'v.constructor', 'lookup v "text"', 'v.with'])
    assert.doesNotMatch(render(`{{${path}}}`, { v }), /a b/);
});
