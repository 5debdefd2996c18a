/** The alerts, their guide and the dashboard, held to each other and to the metrics that Myelin serves. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { stateReasonNames } from '../../src/report/state.ts';
import { metricsOf } from '../support/values/metrics.ts';

const read = (path: string): Promise<string> => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

const rule = z.strictObject({
  alert: z.string().regex(/^Myelin[A-Za-z]+$/),
  expr: z.string(),
  for: z.string(),
  labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
  annotations: z.strictObject({ summary: z.string(), description: z.string(), runbook_url: z.string() }),
});
const groups = z.array(z.strictObject({ name: z.literal('myelin'), rules: z.array(rule) }));

const file = z.strictObject({ groups }).parse(parse(await read('deploy/prometheus/myelin.rules.yaml')));
const operated = z
  .object({ kind: z.literal('PrometheusRule'), spec: z.strictObject({ groups }) })
  .parse(parse(await read('deploy/prometheus/prometheusrule.yaml')));
const rules = file.groups.flatMap((group) => group.rules);

async function served(): Promise<ReadonlySet<string>> {
  const metrics = metricsOf();
  metrics.outputUpdated('hosts', 'written');
  const types = [...(await metrics.text()).matchAll(/^# TYPE (\S+) (\S+)$/gm)];
  return new Set(
    types.flatMap(([, name = '', type]) =>
      type === 'histogram' ? ['_bucket', '_count', '_sum'].map((end) => `${name}${end}`) : [name],
    ),
  );
}

const namesIn = (expr: string): readonly string[] => expr.match(/\b(myelin|process)_\w+/g) ?? [];

test('the PrometheusRule has the rules of the file', () => {
  assert.deepEqual(operated.spec.groups, file.groups);
});

test('alerts and dashboard use metrics that Myelin serves, and reasons for its state that there are', async () => {
  const known = await served();
  const dashboard = z
    .object({ panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })).default([]) })) })
    .parse(JSON.parse(await read('deploy/grafana/myelin.json')));
  const exprs = [
    ...rules.map(({ expr }) => expr),
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ];
  assert.ok(exprs.length > 40);
  for (const expr of exprs) {
    assert.ok(namesIn(expr).length > 0, expr);
    assert.deepEqual(
      namesIn(expr).filter((name) => !known.has(name)),
      [],
      expr,
    );
    for (const [, reason] of expr.matchAll(/reason="(\w+)"/g))
      assert.ok((stateReasonNames as readonly (string | undefined)[]).includes(reason), expr);
  }
});

test('each alert leads to its part of the guide on operations, which has no other', async () => {
  const guide = await read('docs/guides/operations.md');
  const parts = [...guide.matchAll(/^### (\w+)\n\n_(\w+)_\./gm)].map(([, name, severity]) => `${name} ${severity}`);
  assert.deepEqual(parts.sort(), rules.map(({ alert, labels }) => `${alert} ${labels.severity}`).sort());
  for (const { alert, annotations } of rules)
    assert.equal(annotations.runbook_url, `docs/guides/operations.md#${alert.toLowerCase()}`);
});
