import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Endpoint } from '../../../src/model.ts';
import { ownTemplate } from '../../../src/outputs/own-template.ts';

const endpoint: Endpoint = {
  id: 'web 1',
  address: '2001:db8::1',
  port: 80,
  weight: 3,
  state: 'ready',
  tags: ['blue', 'new'],
  meta: { zone: 'it\'s "b"' },
};
const view = { endpoints: new Map([['web', [endpoint]]]) };

function render(text: string, encoding: Parameters<typeof ownTemplate>[1] = 'word', of = view): string {
  return ownTemplate({ file: 'mine.hbs', text }, encoding)(of);
}

test('a template sees each service with its servers, and the helpers that know nothing of HAProxy', () => {
  assert.equal(
    render(`{{#each services}}
{{name}}
{{#each servers}}
{{name}} {{address}} {{ip}} {{port}} {{weight}} {{#unless isDraining}}{{id}}{{/unless}} {{join tags ","}} {{or meta.rack "none"}}
{{/each}}
{{/each}}
`),
    `web
${'web_1-'}${/web_1-([0-9a-f]+)/.exec(render('{{#each services}}{{#each servers}}{{name}}{{/each}}{{/each}}'))?.[1]} [2001:db8::1]:80 2001:db8::1 80 3 web_1 blue,new none
`,
  );
});

test('how values are written is what `encoding` says, and what a helper of its name does', () => {
  const zone = '{{#each services}}{{#each servers}}{{meta.zone}}{{/each}}{{/each}}';
  assert.equal(render(zone), 'it_s__b_');
  assert.equal(render(zone, 'line'), 'it\'s "b"');
  assert.equal(render(zone, 'json'), '"it\'s \\"b\\""');
  assert.equal(render(zone, 'shell'), `'it'\\''s "b"'`);
  assert.equal(render(zone.replace('meta.zone', 'json meta.zone')), '"it\'s \\"b\\""');
  const address = '{{#each services}}{{#each servers}}{{address}} {{port}}{{/each}}{{/each}}';
  assert.equal(render(address, 'json'), '"[2001:db8::1]:80" 80');
});

test('what is wrong in a template is told with file, line and column when it is read, or when it is rendered', () => {
  assert.throws(() => ownTemplate({ file: 'mine.hbs', text: 'x\n{{#each}' }, 'word'), /mine\.hbs:2/);
  assert.throws(() => ownTemplate({ file: 'mine.hbs', text: '{{quote name}}' }, 'word'), /no helper "quote"/);
  const text = '{{#each services}}\n{{nmae}}\n{{/each}}';
  assert.throws(() => render(text), /mine\.hbs:2:3: there is no field "nmae" here/);
});

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.stringMatching(/^[\n\r\t ;{}#'"\\$`<>|&:,.a-z\u0085\u2028\u2029-]{0,20}$/),
);
const hostileView = fc.record({ id: hostile, tag: hostile, zone: hostile }).map(({ id, tag, zone }) => ({
  endpoints: new Map([['web', [{ ...endpoint, id, tags: [tag], meta: { zone } }]]]),
}));
const all =
  '{{#each services}}{{#each servers}}{{id}}|{{#each tags}}{{this}}{{/each}}|{{or meta.zone "-"}}{{/each}}{{/each}}\n';

test('a value is one word by default, whatever a source says: no blank, no quote, no line', () => {
  fc.assert(
    fc.property(hostileView, (one) => {
      assert.match(render(all, 'word', one), /^[A-Za-z0-9._:/@+,-]+\|[A-Za-z0-9._:/@+,-]+\|[A-Za-z0-9._:/@+,-]+\n$/);
    }),
  );
});

test('a value is on one line with `line`, whatever a source says', () => {
  fc.assert(
    fc.property(hostileView, (one) => {
      assert.match(render(all, 'line', one), /^[^\p{Cc}\p{Zl}\p{Zp}]*\n$/u);
    }),
  );
});

test('a value is read back as it was with `json`, whatever a source says', () => {
  const list = '[{{#each services}}{{#each servers}}{{id}},{{#each tags}}{{this}}{{/each}}{{/each}}{{/each}}]';
  fc.assert(
    fc.property(hostileView, (one) => {
      const [server] = one.endpoints.get('web') ?? [];
      assert.equal(
        JSON.stringify(JSON.parse(render(list, 'json', one))),
        JSON.stringify([server?.id, server?.tags[0]]),
      );
    }),
  );
});

test('a value is one argument with `shell`, whatever a source says', () => {
  const hostiles = fc.sample(
    hostile.filter((text) => text.isWellFormed() && !text.includes('\0')),
    50,
  );
  const script = hostiles
    .map((id) =>
      render('{{#each services}}{{#each servers}}printf "%s\\0" {{id}}{{/each}}{{/each}}\n', 'shell', {
        endpoints: new Map([['web', [{ ...endpoint, id }]]]),
      }),
    )
    .join('');
  const said = execFileSync('sh', ['-c', script], { encoding: 'utf8', env: {} }).split('\0').slice(0, -1);
  assert.deepEqual(said, hostiles);
});
