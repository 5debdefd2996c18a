import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Service } from '../../../src/config/schema.ts';
import { configOf, endpoint, render, rendererWith } from '../../support/values/render.ts';

const pool = configOf({
  frontends: { public: { bind: ':80' } },
  services: Object.fromEntries(
    ['a', 'b', 'c', 'd', 'e'].flatMap((name, at) => [
      [name, { routes: `/${name}` }],
      [`${name}2`, { bind: `:${9000 + at}`, check: { type: 'none' } }],
    ]),
  ),
});
const one = [endpoint('one')];

const joining = (services: string): Readonly<Record<string, string>> => ({
  'haproxy.cfg':
    `{{> global}}\n{{> defaults}}\n{{#each frontends}}\n{{> shared-frontend}}\n{{/each}}\n${services}\n` +
    '{{#each haproxy.sections}}\n{{this}}\n{{/each}}\n',
});
const both = '{{#if frontend}}\n{{frontend}}\n{{/if}}\n{{backend}}\n';

const templates: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'the built-in templates': {},
  'a template that prints something between two services': joining(`{{#each services}}\n# {{name}}\n${both}{{/each}}`),
  'a template that prints the first one otherwise': joining(
    `{{#each services}}\n{{#if @first}}\nlisten first\n    bind :1\n{{/if}}\n${both}{{/each}}`,
  ),
  'a template that prints how many there are': joining(`# {{services.length}}\n{{#each services}}\n${both}{{/each}}`),
  'a template that prints frontends before backends': joining(
    '{{#each services}}\n{{#if frontend}}\n{{frontend}}\n{{/if}}\n{{/each}}\n{{#each services}}\n{{backend}}\n{{/each}}',
  ),
  'a template that prints something where there is none': joining(
    `{{#each services}}\n${both}{{else}}\n# nobody\n{{/each}}`,
  ),
};

for (const [name, replaced] of Object.entries(templates))
  test(`whatever services come and go, ${name} prints what a new renderer prints`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.subarray([...pool.services.keys()]), { minLength: 1, maxLength: 6 }),
        async (chosen) => {
          const followed = await rendererWith(replaced);
          for (const names of chosen) {
            const services = new Map(names.map((each) => [each, pool.services.get(each) as Service]));
            const config = { ...pool, services };
            const endpoints = Object.fromEntries(names.map((each) => [each, one]));
            const now = render(followed, config, endpoints);
            assert.deepEqual(now, render(await rendererWith(replaced), config, endpoints));
          }
        },
      ),
      { numRuns: 4 },
    );
  });

test('where a service comes, the sections of the others and those around them stay the same objects', async () => {
  const renderer = await rendererWith();
  const but = (name: string) => ({ ...pool, services: new Map([...pool.services].filter(([each]) => each !== name)) });
  const endpoints = Object.fromEntries([...pool.services.keys()].map((name) => [name, one]));
  const before = new Set(render(renderer, but('c'), endpoints).sections);
  const after = render(renderer, pool, endpoints).sections;
  assert.deepEqual(
    after.filter((section) => !before.has(section)).map(({ kind, name }) => `${kind} ${name.split('/').at(-1)}`),
    ['backend c', 'map public.map'],
  );
});
