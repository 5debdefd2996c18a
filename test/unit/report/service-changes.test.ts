import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCatalog } from '../../../src/catalog/catalog.ts';
import type { Section } from '../../../src/model.ts';
import type { ReconcileContext } from '../../../src/report/happenings.ts';
import { ServiceChanges } from '../../../src/report/news/service-changes.ts';
import { settings } from '../../support/values/catalog.ts';
import { configOf } from '../../support/values/render.ts';

const catalog = createCatalog(settings(), 0);
const sections: readonly Section[] = [
  { kind: 'frontend', name: 'web:in', service: 'web', text: '' },
  { kind: 'frontend', name: 'public', service: null, text: '' },
];

function contextOf(names: readonly string[], result: ReconcileContext['result']): ReconcileContext {
  const { services } = configOf({ services: Object.fromEntries(names.map((name) => [name, {}])) });
  const collection = { catalog, rejected: [], config: { services } };
  const rest = { catalog, changedAt: null, isServing: true, quarantined: [], renderMs: 1, tookMs: 5 };
  return { result, collection, sections, ...rest };
}

test('the last change of a service is by the commands that had its backend, or by the reload that had a reason in it', () => {
  const changes = new ServiceChanges();
  changes.note(
    contextOf(['web', 'api'], { kind: 'runtime', commands: 1, owners: ['backend api', 'map public'], tookMs: 3 }),
    10,
  );
  assert.deepEqual([changes.get('api')?.how, changes.get('api')?.at, changes.get('web')], ['runtime', 10, null]);
  const reasons = [
    { code: 'bind_changed', section: 'frontend web:in' },
    { code: 'section_changed', section: 'frontend public' },
    { code: 'operator_request' },
  ] as const;
  changes.note(contextOf(['web', 'api'], { kind: 'reload', reasons, tookMs: 4 }), 20);
  assert.deepEqual(changes.get('web'), { how: 'reload', at: 20, tookMs: 5, reasons: [reasons[0]] });
  assert.equal(changes.get('api')?.at, 10, 'the reload was for others');
  changes.note(contextOf(['api'], { kind: 'runtime', commands: 1, owners: ['backend api'], tookMs: 3 }), 30);
  assert.deepEqual([changes.get('web'), changes.get('api')?.at], [null, 30], 'what has gone is forgotten');
});
