import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { serverLines } from '../../src/haproxy/text/text.ts';
import { helpers } from '../../src/render/templates/helpers.ts';
import { templateNames } from '../../src/settings/templates.ts';
import { configOf, endpoint, render, rendererWith } from '../support/values/render.ts';

const path = fileURLToPath(new URL('../../docs/reference/templates.md', import.meta.url));
const page = await readFile(path, 'utf8');
const source = await readFile(fileURLToPath(new URL('../../src/render/context.ts', import.meta.url)), 'utf8');

// `node --test --test-update-snapshots test/docs/templates.test.ts` prints the tables again.
test('the reference of templates shows every field and helper that templates have', (t: TestContext) => {
  for (const name of types().keys()) assert.ok(page.includes(`<!-- fields: ${name} -->`), `no table for ${name}`);
  const printed = page
    .replaceAll(
      /(<!-- fields: (\S+) -->\n)[\s\S]*?(<!-- \/fields -->)/g,
      (_, open: string, name: string, close) => `${open}\n${fieldTable(name)}\n${close}`,
    )
    .replace(/(<!-- helpers -->\n)[\s\S]*?(<!-- \/helpers -->)/, `$1\n${helperTable()}\n$2`);
  t.assert.fileSnapshot(printed, path, { serializers: [(text: string) => text] });
});

test('the reference names every template', () => {
  for (const name of templateNames) assert.match(page, new RegExp(`^\\| \`${name}\` `, 'm'));
});

test('every template that the reference shows works', async () => {
  const examples = [...page.matchAll(/```handlebars\n\{\{! (\w+)\.hbs \}\}\n([\s\S]*?)```/g)];
  assert.equal(examples.length, page.match(/```handlebars/g)?.length);
  const renderer = await rendererWith(Object.fromEntries(examples.map(([, name = '', text = '']) => [name, text])));
  const config = configOf({ services: { web: { bind: ':80' } } });
  const endpoints = [endpoint('a', { meta: { zone: 'b' } }), endpoint('c', { port: 81 })];
  const { sections, problems } = render(renderer, config, { web: endpoints });
  assert.deepEqual(problems, []);
  assert.deepEqual(
    sections.flatMap(serverLines).map(({ words }) => words.join(' ')),
    ['server a 10.0.0.1:80 weight 1 backup', 'server c 10.0.0.1:81 weight 1'],
  );
});

/** The types of the context with their fields, as they stand in the code. */
function types(): Map<string, string> {
  return new Map(
    [...source.matchAll(/^export type (\w+) = \{\n([\s\S]*?)^\};/gm)].map(([, name = '', body = '']) => [name, body]),
  );
}

function fieldTable(name: string): string {
  const body = types().get(name);
  assert.ok(body !== undefined, `the page asks for the fields of ${name}`);
  const fields = [...body.matchAll(/(?:^ {2}\/\*\* (.*) \*\/\n)?^ {2}readonly (\w+): (.*);$/gm)];
  const rows = fields.map(([, meaning, field = '', type = '']) => {
    assert.ok(meaning !== undefined, `${name}.${field} needs a comment`);
    return `| \`${field}\` | ${typeName(type)} | ${meaning.replaceAll('|', '\\|')} |`;
  });
  return ['| field | is | meaning |', '| --- | --- | --- |', ...rows, ''].join('\n');
}

function typeName(type: string): string {
  if (type.endsWith(' | null')) return `${typeName(type.slice(0, -' | null'.length))} or null`;
  if (type.startsWith('readonly '))
    return `list of ${typeName(type.slice('readonly '.length, -2)).replace(/(.)$/, '$1s')}`;
  if (type.startsWith('Readonly<Record')) return 'values by key';
  const named: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'number',
    boolean: 'true or false',
    Value: 'value',
    ServerContext: 'server',
    SlotContext: 'part',
    SharedFrontendContext: 'shared frontend',
    RewriteContext: 'rewrite',
  };
  return named[type] ?? 'fields, see below';
}

function helperTable(): string {
  const rows = Object.values(helpers).map(({ usage, meaning }) => `| \`${usage}\` | ${meaning} |`);
  return ['| helper | gives |', '| --- | --- |', ...rows, ''].join('\n');
}
