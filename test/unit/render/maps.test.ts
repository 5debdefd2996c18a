import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Section } from '../../../src/model.ts';
import { configOf, endpoint, render, rendererWith, version } from '../../support/values/render.ts';

const config = configOf({
  haproxy: { config: '/run/haproxy.cfg' },
  frontends: { public: { bind: ':80' }, pool: { mode: 'tcp', bind: ':10000-10009' } },
  services: { web: { routes: '/web' }, api: { routes: ['/api', '/web/api'] }, pg: { mode: 'tcp', routes: ':10001' } },
});

const mapsIn = (sections: readonly Section[]) => sections.filter(({ kind }) => kind === 'map');

test('the map of a shared frontend keeps its identity while none of its lines changes', async () => {
  const renderer = await rendererWith();
  const first = mapsIn(render(renderer, config, { web: [endpoint('a')] }).sections);
  const second = mapsIn(render(renderer, config, { web: [endpoint('b')] }).sections);
  assert.deepEqual(
    first.map(({ name, text }) => [name, text]),
    [
      ['/run/haproxy.cfg.maps/public.map', '*/web/ web\n*/api/ api\n*/web/api/ api\n'],
      ['/run/haproxy.cfg.maps/pool.map', '10001 pg\n'],
    ],
  );
  for (const [at, map] of first.entries()) assert.equal(second[at], map);
  const services = new Map([...config.services].filter(([name]) => name !== 'api'));
  const third = mapsIn(render(renderer, { ...config, services }, { web: [endpoint('b')] }).sections);
  assert.equal(third[0]?.text, '*/web/ web\n');
  assert.equal(third[1], first[1]);
});

test('a route leads only to a backend that is in the file', async () => {
  const renderer = await rendererWith();
  const endpoints = new Map([['web', [endpoint('a')]]]);
  const { sections } = renderer.render({ config, endpoints, version: version('2.6.12'), hostname: 'here' });
  assert.deepEqual(
    mapsIn(sections).map(({ text }) => text),
    ['*/web/ web\n', ''],
  );
});

test('a route of a discovered service leads to no hand-written backend of its name', async () => {
  const whole = '{{> defaults}}\n{{#each frontends}}\n{{> shared-frontend}}\n{{/each}}\nbackend web\n';
  const renderer = await rendererWith({ 'haproxy.cfg': whole });
  const [web] = [...config.services.values()].filter(({ name }) => name === 'web');
  const services = new Map([...config.services, ['web', { ...(web ?? assert.fail()), createdAt: 1 }]]);
  const linesOf = (its: typeof config) => mapsIn(render(renderer, its).sections).map(({ text }) => text);
  assert.deepEqual(linesOf({ ...config, services }), ['', '']);
  assert.deepEqual(linesOf(config), ['*/web/ web\n', ''], 'whoever writes the config may mean it');
});

test('of the entries of a map it is known which discovery alone may have changed, unless an edit changes what it may', async () => {
  const renderer = await rendererWith();
  const found = (its: typeof config, ...names: readonly string[]): typeof config => {
    const services = [...its.services].map(([name, service]) => [
      name,
      names.includes(name) ? { ...service, createdAt: 1 } : service,
    ]);
    return { ...its, services: new Map(services as [string, NonNullable<ReturnType<typeof its.services.get>>][]) };
  };
  const written = (lines: string, path: string, services: object) =>
    configOf({
      haproxy: { config: '/run/haproxy.cfg' },
      watchers: { file: { type: 'file', path } },
      frontends: { public: { bind: ':80', lines: [lines] } },
      services,
    });
  const originOf = (its: typeof config) => mapsIn(render(renderer, its).sections)[0]?.origin ?? assert.fail();
  const [listed, web, api] = [{ a: { routes: '/a' } }, { web: { routes: '/web' } }, { api: { routes: '/api' } }];
  const before = originOf(found(written('', '/x', { ...listed, ...web }), 'web'));
  const since = (its: typeof config, ...keys: readonly string[]) => {
    const isByDiscovery = originOf(its).discoveredSince(before);
    return isByDiscovery && keys.map(isByDiscovery);
  };
  const b = { b: { routes: '/b' } };
  assert.deepEqual(
    since(found(written('bad', '/x', { ...listed, ...b, ...api }), 'api'), '*/a/', '*/b/', '*/api/', '*/web/', '*/no/'),
    [false, false, true, true, false],
  );
  const elsewhere = found(written('bad', '/y', { ...listed, ...api }), 'api');
  assert.equal(since(elsewhere, '*/api/'), null);
  assert.equal(since(found(written('bad', '/x', { ...api }), 'api')), null, 'a listed one has given up its route');
  assert.equal(since(found(written('bad', '/x', { ...listed, ...api }), 'api', 'a')), null, 'or its name');
});

test('a service whose name a template has made for another backend gets no route there', async () => {
  const services = (its: object) =>
    configOf({ haproxy: { config: '/run/haproxy.cfg' }, frontends: { public: { bind: ':80' } }, services: its });
  const its = services({ web: { routes: '/web' }, 'web-admin': { routes: '/mine' } });
  const lines =
    '{{> defaults}}\n{{#each frontends}}\n{{> shared-frontend}}\n{{/each}}\n{{#each services}}\n{{backend}}\n{{/each}}\n';
  const loops: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'in the whole file': { 'haproxy.cfg': `${lines}{{#each services}}\nbackend {{name}}-admin\n{{/each}}\n` },
    'in the template of a backend': { backend: 'backend {{name}}\nbackend {{name}}-admin\n' },
  };
  for (const [where, templates] of Object.entries(loops)) {
    const renderer = await rendererWith(templates);
    const { sections } = render(renderer, its);
    assert.equal(sections.filter(({ name }) => name === 'web-admin').length, 2, 'HAProxy refuses it');
    assert.deepEqual(
      mapsIn(sections).map(({ text }) => text),
      ['*/web/ web\n'],
      where,
    );
  }
});

test('a template for the whole file that prints no shared frontends is refused, with what prints them', async () => {
  const renderer = await rendererWith({ 'haproxy.cfg': '{{#each services}}\n{{backend}}\n{{/each}}\n' });
  assert.throws(() => render(renderer, config), /the shared frontend public is not printed: \{\{#each frontends\}\}/);
});
