import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { expand } from '../../../src/config/read/substitute.ts';
import { parseYaml, treeOf } from '../../../src/config/read/tree.ts';
import { load, refusal } from '../../support/values/config.ts';

const withPath = (path: string) => `watchers: { file: { path: ${path} } }\nservices: { web: {} }\n`;

test('strings take values from the environment, with defaults for what is unset or empty', async () => {
  const text = `watchers: { consul: { datacenter: "\${DC}", address: "http://\${HOST:-127.0.0.1}:\${PORT:-8500}" } }`;
  const address = async (env: NodeJS.ProcessEnv) => {
    const { consul } = (await load(text, env)).config.watchers;
    return consul?.type === 'consul' && `${consul.datacenter} ${consul.address}`;
  };
  assert.equal(await address({ DC: 'dc1' }), 'dc1 http://127.0.0.1:8500');
  assert.equal(await address({ DC: 'dc1', HOST: 'consul', PORT: '' }), 'dc1 http://consul:8500');
});

test('strings take the text of files, without the line feed at the end, and the files are watched', async () => {
  const { config, files, secrets } = await load({
    'myelin.yaml': 'watchers: { consul: { token: "${file:secrets/token}" } }',
    'secrets/token': 'hunter2\n',
  });
  assert.equal(config.watchers.consul?.type === 'consul' && config.watchers.consul.token, 'hunter2');
  assert.deepEqual(files, ['/etc/myelin/myelin.yaml', '/etc/myelin/secrets/token']);
  assert.deepEqual(secrets, ['hunter2']);
});

test('$${ stands for ${ itself, and other dollars for themselves', async () => {
  const { config } = await load(
    'watchers: { consul: {} }\nservices: { web: { frontend: ["log-format $${X} $Y $$", "http-request set-var(txn.a) str($)"] } }',
  );
  assert.deepEqual(config.services.get('web')?.frontend, [
    'log-format ${X} $Y $$',
    'http-request set-var(txn.a) str($)',
  ]);
});

test('keys are never substituted', async () => {
  const { config } = await load(
    'watchers: { consul: {} }\nservices: { web: { from: { consul: { filter: "${A}" } } } }',
    {
      A: 'x',
      consul: 'y',
    },
  );
  assert.equal(config.services.get('web')?.origins[0]?.watcher, 'consul');
  assert.match(
    await refusal('watchers: { consul: {} }\nservices: { "${A}": {} }', { A: 'web' }),
    /only letters, digits/,
  );
});

test('a number or a switch may come from the environment where the schema expects one', async () => {
  const text = 'watchers: { consul: { maxConnections: "${MAX}", required: "${REQUIRED}" } }';
  const { consul } = (await load(text, { MAX: '7', REQUIRED: 'false' })).config.watchers;
  assert.deepEqual(consul?.type === 'consul' && [consul.maxConnections, consul.required], [7, false]);
  assert.equal(
    await refusal(text, { MAX: '7 8', REQUIRED: 'no' }),
    [
      '2 problems in the config:',
      'myelin.yaml:1:39: watchers.consul.maxConnections: "7 8" is not allowed; expected a number',
      'myelin.yaml:1:59: watchers.consul.required: "no" is not allowed; expected true or false',
    ].join('\n'),
  );
});

test('a number in quotes stays text where nothing was substituted', async () => {
  assert.equal(
    await refusal('watchers: { consul: { maxConnections: "7" } }'),
    'myelin.yaml:1:39: watchers.consul.maxConnections: "7" is not allowed; expected a number',
  );
});

test('what cannot be substituted is a problem at its place', async () => {
  assert.equal(
    await refusal({
      'myelin.yaml': `
watchers:
  consul: { token: "\${NOPE}", datacenter: "\${a b}", tokenFile: "\${X" }
  file: { path: "\${file:none}" }
  other: { type: file, path: "\${file:folder}" }
  more: { type: file, path: "\${file:binary}" }
`,
      'folder/x': '',
      binary: Buffer.from([0x66, 0xff, 0x0a]),
    }),
    [
      '6 problems in the config:',
      'myelin.yaml:3:20: watchers.consul.token: the environment variable NOPE is not set; set it, or give a default: ${NOPE:-value}',
      'myelin.yaml:3:43: watchers.consul.datacenter: "${a b}" is not a substitution; write ${NAME}, ${NAME:-default} or ${file:PATH}, and $${ for a literal ${',
      'myelin.yaml:3:64: watchers.consul.tokenFile: "${X" has no closing brace; write ${NAME}, ${NAME:-default} or ${file:PATH}, and $${ for a literal ${',
      'myelin.yaml:4:17: watchers.file.path: the file none cannot be read: there is no such file',
      'myelin.yaml:5:30: watchers.other.path: the file folder cannot be read: it is a folder',
      'myelin.yaml:6:29: watchers.more.path: the file binary cannot be read: it is not UTF-8 text',
    ].join('\n'),
  );
});

test('a substitution without quotes inside braces is explained', async () => {
  assert.match(
    await refusal('watchers: { consul: { token: ${TOKEN} } }', { TOKEN: 'x' }),
    /^myelin\.yaml:1:31: not valid YAML: .*; a value with \$\{…\} inside \{ \} or \[ \] needs quotes: "\$\{NAME\}"$/,
  );
});

test('whatever a variable or a file holds stays one scalar: it never changes the structure', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[-:#{}[\]&*!|>'"%@`,$ \n\ta?]*$/),
    fc.constantFrom(
      'a: b',
      'x\n  y: 1',
      '*a',
      '!!int 5',
      '${ENV}',
      '$${X}',
      '${file:x}',
      '<<',
      'null',
      '---\na: 1',
      '\u2028',
    ),
  );
  const styles = [
    'plain: ${X}',
    "single: '${X}'",
    'double: "a${X}b"',
    'list: [ 1, "${X}" ]',
    'block: |\n  ${X}',
    'nested: { a: { b: "${X}${X}" } }',
    'file: "${file:F}"',
  ];
  fc.assert(
    fc.property(hostile, fc.shuffledSubarray(styles, { minLength: 1 }), (value, chosen) => {
      const problems: string[] = [];
      const report = (_: unknown, __: unknown, message: string) => problems.push(message);
      const yaml = parseYaml(`${chosen.join('\n')}\n`, 'f', report);
      assert.ok(yaml !== null);
      const values = { env: { X: value }, files: new Map([['F', { text: value }]]) };
      const tree = treeOf(yaml, (text) => expand(text, values), report);
      const all: Record<string, unknown> = {
        plain: value,
        single: value,
        double: `a${value}b`,
        list: [1, value],
        block: `${value}\n`,
        nested: { a: { b: value + value } },
        file: value,
      };
      const keys = chosen.map((line) => line.replace(/:.*/s, ''));
      const expected = Object.fromEntries(keys.map((key) => [key, all[key]]));
      assert.deepEqual(tree?.value, expected);
      assert.deepEqual(problems, []);
    }),
  );
});

test('a value that is not allowed where it is put is refused, such as a line break in a path', async () => {
  assert.equal(
    await refusal(withPath('"${P}"'), { P: 'a\nb' }),
    'myelin.yaml:1:27: watchers.file.path: "a\\nb" is not allowed; expected text without line breaks or other control characters',
  );
});
