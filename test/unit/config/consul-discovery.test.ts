/** What the config may say of discovery in Consul. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDiscovered } from '../../../src/config/discover/discovered.ts';
import { initText } from '../../../src/config/print/init.ts';
import { load, refusal } from '../../support/values/config.ts';

const discovering = (keys: string, watcher = ''): string =>
  `watchers: { consul: {${watcher}} }\ndiscover: { consul: ${keys} }\n`;

test('discovery in Consul asks for a tag, meta or both', async () => {
  const queries = async (keys: string) => (await load(discovering(keys))).config.discoveries.map(({ query }) => query);
  assert.deepEqual(await queries('{ tag: expose }'), [{ tag: 'expose', meta: {} }]);
  assert.deepEqual(await queries('{ meta: { expose: "true" } }'), [{ meta: { expose: 'true' } }]);
  assert.deepEqual(await queries('{ tag: a b, meta: { x_y-z: "" } }'), [{ tag: 'a b', meta: { 'x_y-z': '' } }]);
});

test('discovery in Consul by the tags of fabio needs no other tag', async () => {
  const queries = async (keys: string) => (await load(discovering(keys))).config.discoveries.map(({ query }) => query);
  assert.deepEqual(await queries('{ tag: expose, warning: use }'), [{ tag: 'expose', meta: {}, warning: 'use' }]);
  assert.deepEqual(await queries('{ routes: fabio }'), [{ meta: {}, routes: 'fabio' }]);
  assert.deepEqual(await queries('{ tag: expose, routes: fabio }'), [{ tag: 'expose', meta: {}, routes: 'fabio' }]);
});

test('discovery in Consul that would be every service, or no query of Consul, is refused', async () => {
  assert.match(
    await refusal(discovering('{}')),
    /discover\.consul: names neither a tag nor meta, which would be every/,
  );
  assert.match(await refusal(discovering('{ tag: "a`b" }')), /discover\.consul: names a text with a backquote/);
  assert.match(await refusal(discovering('{ meta: { "a b": x } }')), /expected a key of meta/);
  assert.match(await refusal(discovering('{ meta: { a: "`" } }')), /discover\.consul: names a text with a backquote/);
  assert.match(await refusal(discovering('{ labels: { a: b } }')), /labels: unknown key; allowed: tag, meta, /);
  assert.match(
    await refusal(discovering('{ tag: expose }', ' maxConnections: 1 ')),
    /discover\.consul: needs a connection for itself/,
  );
});

test('the config that init writes for Consul shows discovery as a comment, and is valid without the `#`', async () => {
  const text = initText('consul');
  assert.match(text, /^#discover:\n# {2}consul: \{ tag: expose, /m);
  const { config } = await load(text.replace(/^#(discover:)\n#(.*)$/m, '$1\n$2'));
  assert.deepEqual(
    config.discoveries.map(({ watcher }) => watcher),
    ['consul'],
  );
});

test('an option that means nothing to Consul is no option of its services, in the config as in their meta', async () => {
  assert.match(
    await refusal(discovering('{ tag: expose, options: [listen, port] }')),
    /discover\.consul\.options\[1\]: port has no effect on services of a watcher of type consul/,
  );
  const { config } = await load(discovering('{ tag: expose }'));
  const [discovery] = config.discoveries;
  assert.ok(discovery);
  const discovered = ['web', 'db'].map((name) => ({
    discovery,
    service: { key: `*${name}`, name, owner: 'default', createdAt: 1, options: name === 'db' ? { port: '80' } : {} },
  }));
  const { config: all, rejected } = withDiscovered(config, discovered);
  assert.deepEqual([...all.services.keys()], ['web']);
  assert.deepEqual(rejected, [{ watcher: 'consul', service: 'db', reason: 'port: has no effect here: leave it out' }]);
});
