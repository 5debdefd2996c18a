/** The dashboard, held to what Grafana makes of one: it takes silently what it cannot show. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { z } from 'zod';

const datasource = z.strictObject({ type: z.literal('prometheus'), uid: z.literal('${datasource}') });
const gridPos = z.strictObject({
  x: z.number().int().min(0),
  y: z.number().int().min(0),
  w: z.number().int().min(1),
  h: z.number().int().min(1),
});
const target = z.looseObject({
  refId: z.string().regex(/^[A-Z]$/),
  expr: z.string(),
  datasource: datasource.optional(),
});
const id = z.number().int().min(1);
const row = z.strictObject({
  id,
  type: z.literal('row'),
  title: z.string(),
  gridPos,
  collapsed: z.literal(false),
  panels: z.tuple([]),
});
const panel = z.looseObject({
  id,
  type: z.enum(['stat', 'table', 'timeseries', 'state-timeline']),
  title: z.string().min(1),
  gridPos,
  datasource,
  targets: z.array(target).min(1),
});
const dashboard = z
  .looseObject({
    uid: z.string().max(40),
    schemaVersion: z.number().int(),
    templating: z.object({ list: z.array(z.looseObject({ name: z.string() })) }),
    panels: z.array(z.discriminatedUnion('type', [row, panel])),
  })
  .parse(JSON.parse(await readFile(new URL('../../deploy/grafana/myelin.json', import.meta.url), 'utf8')));

const columns = 24;

test('each panel of the dashboard has an id and a place of its own', () => {
  const { panels } = dashboard;
  assert.equal(new Set(panels.map((each) => each.id)).size, panels.length);
  const taken = new Map<string, string>();
  for (const { title, gridPos: at } of panels) {
    assert.ok(at.x + at.w <= columns, title);
    for (let x = at.x; x < at.x + at.w; x++)
      for (let y = at.y; y < at.y + at.h; y++) {
        assert.equal(taken.get(`${x} ${y}`), undefined, `${title} lies over ${taken.get(`${x} ${y}`)}`);
        taken.set(`${x} ${y}`, title);
      }
  }
});

test('queries of the dashboard are told apart, and use variables that there are', () => {
  const known = new Set([...dashboard.templating.list.map(({ name }) => name), '__rate_interval']);
  for (const each of dashboard.panels) {
    if (each.type === 'row') continue;
    assert.equal(new Set(each.targets.map(({ refId }) => refId)).size, each.targets.length, each.title);
    for (const { expr } of each.targets)
      for (const [, name = ''] of expr.matchAll(/\$\{?(\w+)/g)) assert.ok(known.has(name), `${each.title}: ${name}`);
  }
});
