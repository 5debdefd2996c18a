/** What pages show is what Myelin takes: configs, files with services, manifests. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import { parseServices } from '../../watchers/file/parse.ts';
import { load } from '../support/values/config.ts';
import { type Block, blocksOf, page as pageAt, pages } from './pages.ts';

type Kind = 'config' | 'services' | 'chart values' | 'manifest';

const example = await readFile(new URL('../../docs/watchers/example/http-json.ts', import.meta.url), 'utf8');

/** Which of them a block is. */
function kindOf(text: string): Kind {
  if (/^# services\.yaml/.test(text)) return 'services';
  if (/^(shape|config):/m.test(text)) return 'chart values';
  return /^(apiVersion|env):/m.test(text) ? 'manifest' : 'config';
}

/** The config as it stands, or the part of one beside a source. */
async function loadConfig(text: string): Promise<void> {
  const whole = /^watchers:/m.test(text) ? text : `${text}\nwatchers: { consul: {} }\n`;
  await load(
    { 'myelin.yaml': whole.replaceAll('/etc/myelin/', './'), 'blog.colour': 'blue', 'http-json.ts': example },
    { ADMIN_PASSWORD: 'secret', NODE_NAME: 'node-1', NODE_IP: '10.0.0.1' },
  );
}

async function judge({ text }: Block): Promise<void> {
  switch (kindOf(text)) {
    case 'config':
      return loadConfig(text);
    case 'services': {
      const parsed = parseServices('services.yaml', text);
      assert.ok(parsed.kind === 'services', JSON.stringify(parsed));
      for (const [name, entry] of parsed.services)
        assert.ok(entry.kind === 'list' && entry.unreadable.length === 0, `${name}: ${JSON.stringify(entry)}`);
      return;
    }
    case 'chart values': {
      const { config } = z.looseObject({ config: z.unknown() }).parse(parse(text));
      return loadConfig(stringify(config));
    }
    case 'manifest':
      assert.deepEqual(
        parseAllDocuments(text).flatMap(({ errors }) => errors),
        [],
      );
  }
}

for (const page of pages)
  test(`what ${page.path} shows of configs and other YAML is valid`, async () => {
    for (const block of blocksOf(page, 'yaml'))
      await judge(block).catch((cause: unknown) => assert.fail(`${block.place}: ${String(cause)}`));
  });

test('the pages show configs of every kind', () => {
  const kinds = pages.flatMap((page) => blocksOf(page, 'yaml').map(({ text }) => kindOf(text)));
  assert.deepEqual(new Set(kinds), new Set<Kind>(['config', 'services', 'chart values', 'manifest']));
});

for (const page of pages)
  test(`the JSON in ${page.path} is JSON`, () => {
    for (const { place, text } of blocksOf(page, 'json')) assert.doesNotThrow(() => JSON.parse(text), place);
  });

test('the lines for systemd that a guide shows stand in the units of deploy/systemd', () => {
  const units = pageAt('deploy/systemd/master/haproxy.service.d/myelin.conf').text;
  const shown = pages.flatMap((page) => blocksOf(page, 'ini'));
  assert.ok(shown.length > 0);
  for (const { place, text } of shown) assert.ok(units.includes(text), place);
});
