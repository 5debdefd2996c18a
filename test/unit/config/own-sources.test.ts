/** Sources of the user's own: modules beside the config, or packages. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { loadConfig } from '../../../src/config/load.ts';
import { jsonSchema } from '../../../src/config/print/json-schema.ts';
import { maskConfig, maskWithin } from '../../../src/config/read/mask.ts';
import { builtIn } from '../../../src/config/schema/watchers.ts';
import { describe } from '../../../src/errors.ts';
import type { Update } from '../../../src/model.ts';
import { explain } from '../../../src/sources/explain.ts';
import { tempFolder } from '../../support/index.ts';
import { load, refusal } from '../../support/values/config.ts';

/** `yields`: the code of what it yields. */
const moduleOf = (yields = ''): string =>
  `
import { defineSource, someTime, z } from 'myelin/watcher';
export const source = defineSource({
  type: 'own',
  settings: z.strictObject({
    url: z.string().describe('Where it is.'),
    key: z.string().optional().meta({ secret: true }),
    interval: someTime.prefault('1s'),
  }),
  query: z.strictObject({ path: z.string().default('/') }),
  check({ url }, { report }) {
    if (url === 'http://') report(['url'], 'names no host');
  },
  async *open() {},
  open: () => async function* () { ${yields} },
});
`.replace('  async *open() {},\n', '');

const configOf = (settings: string, query = ''): string =>
  `watchers: { mine: { type: ./own.ts, ${settings} } }\nservices: { web: { from: { mine: {${query}} } } }\n`;

test('a watcher of one’s own has its own settings, those of every watcher, and its own query', async () => {
  const { config, files } = await load({ 'myelin.yaml': configOf('url: "http://a"'), 'own.ts': moduleOf() });
  assert.deepEqual(config.watchers.mine, {
    type: './own.ts',
    url: 'http://a',
    interval: 1000,
    required: true,
    maxServers: 1000,
    maxShrink: { share: 0.5, hold: 60_000 },
  });
  assert.deepEqual(config.services.get('web')?.origins, [{ watcher: 'mine', key: 'web', query: { path: '/' } }]);
  assert.ok(files.includes('/etc/myelin/own.ts'), 'its file is watched');
});

test('what a watcher of one’s own calls secret is not shown', async () => {
  const { config, secrets, inserted } = await load({
    'myelin.yaml': configOf('url: "http://a", key: password'),
    'own.ts': moduleOf(),
  });
  assert.deepEqual(secrets, ['password']);
  assert.match(JSON.stringify(maskConfig(config, inserted)), /"key":"\*\*\*"/);
});

/** Each holds one secret, in its settings and in its queries, as a schema type of zod describes it. */
const secretShapes: Readonly<Record<string, readonly [schema: string, written: string]>> = {
  optional: ['secret.optional()', '"VALUE"'],
  nullable: ['secret.nullable()', '"VALUE"'],
  default: ['secret.default("VALUE")', ''],
  catch: ['secret.catch("other")', '"VALUE"'],
  readonly: ['secret.readonly()', '"VALUE"'],
  number: ['z.number().meta({ secret: true })', '421099'],
  lazy: ['z.lazy(() => secret)', '"VALUE"'],
  'recursive lazy': ['tree', '{ leaf: { leaf: "VALUE" } }'],
  pipe: ['secret.pipe(z.string())', '"VALUE"'],
  'pipe that ends in a secret': ['z.string().pipe(secret)', '"VALUE"'],
  transform: ['secret.transform((text) => ({ header: `Bearer ${text}` }))', '"VALUE"'],
  preprocess: ['z.preprocess((text) => text, secret)', '"VALUE"'],
  'union of text and map': ['z.union([z.strictObject({ file: z.string() }), secret])', '"VALUE"'],
  'union of maps': [
    'z.union([z.strictObject({ user: z.string() }), z.strictObject({ token: secret })])',
    '{ token: "VALUE" }',
  ],
  'union by a key': [
    'z.discriminatedUnion("kind", [z.strictObject({ kind: z.literal("a"), x: z.string() }), z.strictObject({ kind: z.literal("b"), x: secret })])',
    '{ kind: b, x: "VALUE" }',
  ],
  intersection: ['z.intersection(z.object({ a: z.string() }), z.object({ b: secret }))', '{ a: x, b: "VALUE" }'],
  record: ['z.record(z.string(), secret)', '{ any: "VALUE" }'],
  'secret record': ['z.record(z.string(), z.string()).meta({ secret: true })', '{ any: "VALUE" }'],
  catchall: ['z.object({}).catchall(secret)', '{ any: "VALUE" }'],
  array: ['z.array(secret)', '["VALUE"]'],
  tuple: ['z.tuple([z.string(), secret])', '[x, "VALUE"]'],
  'rest of a tuple': ['z.tuple([z.string()], secret)', '[x, "VALUE"]'],
  set: ['z.array(secret).transform((list) => new Set(list))', '["VALUE"]'],
  map: ['z.record(z.string(), secret).transform((of) => new Map(Object.entries(of)))', '{ any: "VALUE" }'],
};

for (const [name, [schema, written]] of Object.entries(secretShapes))
  test(`a secret in the settings or in a query of a watcher of one’s own is not shown: ${name}`, async () => {
    const of = (value: string) => schema.replace('"VALUE"', JSON.stringify(value));
    const as = (value: string) => (written === '' ? '' : `s: ${written.replace('VALUE', value)}`);
    const { config, secrets, inserted } = await load({
      'myelin.yaml': `
watchers: { mine: { type: ./own.ts, ${as('of-settings')} } }
services: { web: { from: { mine: { ${as('of-query')} } } } }
`,
      'own.ts': `
import { defineSource, z } from 'myelin/watcher';
const secret = z.string().meta({ secret: true });
const tree = z.lazy(() => z.union([secret, z.strictObject({ leaf: tree })]));
export const source = defineSource({
  type: 'own',
  settings: z.strictObject({ s: ${of('of-settings')} }),
  query: z.strictObject({ s: ${of('of-query')} }),
  open: () => async function* () {},
});
`,
    });
    const shown = JSON.stringify(maskWithin(maskConfig(config, inserted), secrets));
    assert.doesNotMatch(shown, /of-settings|of-query|421099/);
    const expected = written === '421099' ? ['421099'] : ['of-query', 'of-settings'];
    for (const secret of expected) assert.ok(secrets.includes(secret), `${secret} is masked in every text`);
  });

test('a value that a schema has made of a setting stays what it is', async () => {
  const { config } = await load({
    'myelin.yaml': configOf('url: "http://a/"'),
    'own.ts': moduleOf()
      .replace("url: z.string().describe('Where it is.')", 'url: z.string().transform((text) => new URL(text))')
      .replace("url === 'http://'", 'url.host === ""'),
  });
  assert.ok(config.watchers.mine?.url instanceof URL);
});

test('what is wrong with the settings of a watcher of one’s own is told with its place', async () => {
  const own = { 'own.ts': moduleOf() };
  assert.equal(
    await refusal({ 'myelin.yaml': configOf('ulr: "http://a", interval: 1'), ...own }),
    `3 problems in the config:
myelin.yaml:1:13: watchers.mine.url: is missing; expected text
myelin.yaml:1:37: watchers.mine.ulr: unknown key; allowed: type, url, key, interval, required, maxServers, maxShrink; did you mean "url"?
myelin.yaml:1:64: watchers.mine.interval: 1 is not allowed; expected a duration such as 250ms, 20s, 10m or 2h`,
  );
  assert.equal(
    await refusal({ 'myelin.yaml': configOf('url: "http://"'), ...own }),
    'myelin.yaml:1:42: watchers.mine.url: names no host',
  );
  const broken = moduleOf().replace("if (url === 'http://')", 'url.nothing.at.all;\n    if (url)');
  assert.match(
    await refusal({ 'myelin.yaml': configOf('url: "http://a"'), 'own.ts': broken }),
    /^myelin\.yaml:1:13: watchers\.mine: the check of \.\/own\.ts has failed: Cannot read properties of undefined \(reading 'at'\) \(\S*own\.ts:12:17\)$/,
  );
  assert.equal(
    await refusal({ 'myelin.yaml': configOf('url: "http://a"', ' pth: x '), ...own }),
    'myelin.yaml:2:36: services.web.from.mine.pth: unknown key; allowed: path; did you mean "path"?',
  );
});

test('a schema, check or discovery of one’s own that throws or is asynchronous is a problem of the config', async () => {
  const own = (part: string, settings = 'z.strictObject({ url: z.string() })') => `
import { defineSource, z } from 'myelin/watcher';
export const source = defineSource({
  type: 'own',
  settings: ${settings},
  query: z.strictObject({}),
  ${part}
  open: () => async function* () {},
});
`;
  const refused = (part: string, settings?: string, more = '') =>
    refusal({ 'myelin.yaml': `${configOf('url: "http://a"')}${more}`, 'own.ts': own(part, settings) });
  const at = 'myelin.yaml:1:13: watchers.mine:';
  assert.equal(
    await refused('', 'z.strictObject({ url: z.string().transform(() => { throw new Error("no code") }) })'),
    `${at} its schema has failed: no code; what it calls must neither throw nor return a promise`,
  );
  assert.match(
    await refused('', 'z.strictObject({ url: z.string().transform(async () => "") })'),
    /^myelin\.yaml:1:13: watchers\.mine: its schema has failed: .*; what it calls must neither throw nor return a promise$/,
  );
  assert.equal(
    await refused('check: async () => { throw new Error("no code") },'),
    `${at} the check of ./own.ts is asynchronous: make it report everything before it returns`,
  );
  const discovery = (queries: string) => `discovery: { keys: z.strictObject({}), queries: () => { ${queries} } },`;
  const discover = 'discover: { mine: {} }\n';
  assert.match(
    await refused(discovery('throw new Error("no code")'), undefined, discover),
    /^myelin\.yaml:3:13: discover\.mine: discovery\.queries of \.\/own\.ts has failed: no code \(\S*own\.ts:7:\d+\)$/,
  );
  assert.match(
    await refused(discovery('return 1 as never'), undefined, discover),
    /^myelin\.yaml:3:13: discover\.mine: discovery\.queries of \.\/own\.ts has failed: .*expected array/,
  );
  assert.equal(
    await refused('', undefined, discover),
    'myelin.yaml:3:13: discover.mine: a watcher of type ./own.ts discovers nothing; expected one of type consul, file, kubernetes',
  );
});

test('a module that is no source is told with its place and what to do', async () => {
  const at = 'myelin.yaml:1:27: watchers.mine.type:';
  const withModule = (text: string) => refusal({ 'myelin.yaml': configOf(''), 'own.ts': text });
  assert.match(await refusal({ 'myelin.yaml': configOf('') }), new RegExp(`^${at} there is no file .*own.ts$`));
  assert.equal(
    await withModule('export const other = 1;'),
    `${at} ./own.ts exports no \`source\`: write \`export const source = defineSource({ … })\``,
  );
  assert.equal(
    await withModule('export const source = { query: 1 };'),
    `${at} the \`source\` that ./own.ts exports is none: settings: expected a z.strictObject({ … }); query: expected a z.strictObject({ … }); open: expected a function; make it with \`defineSource\``,
  );
  assert.match(
    await withModule('const a = 1;\nthrow new Error("no key");'),
    new RegExp(`^${at} cannot load ./own.ts: no key \\(\\S*own.ts:2:7\\)$`),
  );
  assert.match(
    await withModule('export const = 1;'),
    new RegExp(`^${at} cannot load ./own.ts: .* \\(\\S*own.ts:1\\)$`),
  );
  assert.match(
    await withModule('import "left-pad-of-nobody";'),
    new RegExp(`^${at} cannot load ./own.ts: Cannot find package 'left-pad-of-nobody' imported from \\S*own.ts`),
  );
});

test('a watcher of one’s own may come as a package, and a name that is none may be a kind that is misspelt', async () => {
  const config = (type: string) => `watchers: { mine: { type: ${type}, url: "http://a" } }`;
  const files = {
    'node_modules/myelin-own/package.json': '{ "type": "module", "exports": "./index.js" }',
    'node_modules/myelin-own/index.js': moduleOf(),
  };
  const loaded = await load({ 'myelin.yaml': config('myelin-own'), ...files });
  assert.equal(loaded.config.watchers.mine?.url, 'http://a');
  assert.equal(
    await refusal({ 'myelin.yaml': config('consull'), ...files }),
    `myelin.yaml:1:27: watchers.mine.type: "consull" is not allowed; allowed: ${[...builtIn.keys()].join(', ')}; did you mean "consul"?`,
  );
});

test('a module that has changed is another source, one that has not is the same', async () => {
  await using folder = await tempFolder();
  const [path, module] = [join(folder.path, 'myelin.yaml'), join(folder.path, 'own.ts')];
  await writeFile(path, configOf('url: "http://a"'));
  await writeFile(module, moduleOf());
  const sourceNow = async () => (await loadConfig(path, {})).config.sources.get('mine');
  const first = await sourceNow();
  assert.ok(first);
  assert.equal(await sourceNow(), first);
  await writeFile(module, 'throw new Error("unfinished");');
  await assert.rejects(sourceNow(), /unfinished/);
  await writeFile(module, moduleOf());
  const next = await sourceNow();
  assert.ok(next);
  assert.notEqual(next, first);
});

test('the JSON Schema knows the watchers of a config’s own', async () => {
  const { config } = await load({ 'myelin.yaml': configOf('url: "http://a"'), 'own.ts': moduleOf() });
  const source = config.sources.get('mine');
  assert.ok(source);
  const schema = JSON.stringify(jsonSchema(new Map([...builtIn, ['./own.ts', source]])));
  assert.ok(schema.includes('Where it is.'));
  assert.ok(!JSON.stringify(jsonSchema()).includes('Where it is.'));
});

test('what a watcher of one’s own yields that is no update is a failure that names it, and nothing of it is taken', async () => {
  const yielded = async (code: string): Promise<string> => {
    const { config } = await load({ 'myelin.yaml': configOf('url: "http://a"'), 'own.ts': moduleOf(code) });
    const [source, watcher] = [config.sources.get('mine'), config.watchers.mine];
    assert.ok(source && watcher);
    const watch = await source.open(watcher, { env: {}, onSecret: () => {}, signal: new AbortController().signal });
    const updates: Update[] = [];
    try {
      for await (const update of watch([], new AbortController().signal)) updates.push(update);
    } catch (error) {
      return describe(error);
    }
    return JSON.stringify(updates);
  };
  assert.equal(await yielded("yield { kind: 'gone', key: 'web', more: 1 };"), '[{"kind":"gone","key":"web"}]');
  assert.match(
    await yielded(
      "yield { kind: 'endpoints', key: 'web', endpoints: [{ id: 'a', address: '10.0.0.1', port: '80' }] };",
    ),
    /^\.\/own\.ts has yielded what is not an update: endpoints\[0\]\.port: Invalid input: expected number/,
  );
  assert.match(await yielded('yield undefined;'), /^\.\/own\.ts has yielded what is not an update/);
});

test('what a source of one’s own explains is read, or told to be no answer', async () => {
  const answered = async (code: string): Promise<string> => {
    const own = moduleOf().replace('check(', `explain: async () => (${code}),\n  check(`);
    const { config } = await load({ 'myelin.yaml': configOf('url: "http://a"'), 'own.ts': own });
    const origins = config.services.get('web')?.origins ?? [];
    const [explanation] = await explain(config, origins, { env: {}, onSecret: () => {} });
    return explanation?.failure ?? JSON.stringify(explanation?.answer);
  };
  const answer = "{ unfit: null, said: ['a'], instances: [] }";
  assert.equal(await answered(answer), '{"unfit":null,"said":["a"],"instances":[]}');
  assert.match(await answered('[]'), /^explain of \.\/own\.ts gives something else than an answer: /);
});

test('a watcher of one’s own may discover services, within the limits that are the same for all', async () => {
  const own = moduleOf().replace(
    'check(',
    `discovery: {
    keys: z.strictObject({ tag: z.string() }),
    queries: ({ url }, { tag }) => [{ key: tag, query: { url, tag } }],
  },
  check(`,
  );
  const configOf = (limits: string) => ({
    'myelin.yaml': `watchers: { mine: { type: ./own.ts, url: u } }\ndiscover: { mine: { ${limits} } }`,
    'own.ts': own,
  });
  const { config } = await load(configOf('tag: web, maxServices: 5'));
  const [discovery] = config.discoveries;
  assert.deepEqual([discovery?.key, discovery?.query], ['*web', { url: 'u', tag: 'web' }]);
  assert.equal(discovery?.limits.maxServices, 5);
  assert.equal(
    await refusal(configOf('tag: web, labels: { a: b }, maxServices: 0')),
    `2 problems in the config:
myelin.yaml:2:31: discover.mine.labels: unknown key; allowed: tag, bindAddress, ports, hosts, frontends, maxServices, maxPerNamespace, options, service
myelin.yaml:2:62: discover.mine.maxServices: 0 is not allowed; expected at least 1`,
  );
  const source = config.sources.get('mine');
  assert.ok(source);
  const { discover } = jsonSchema(new Map([...builtIn, ['./own.ts', source]])).properties ?? {};
  assert.match(JSON.stringify(discover), /"tag"/);
  assert.match(JSON.stringify(discover), /"labels"/);
});
