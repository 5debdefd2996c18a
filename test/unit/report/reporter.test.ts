/** What of all that happens people are told, and how often; what is counted, and what the status shows of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createCatalog, receive } from '../../../src/catalog/catalog.ts';
import { AppError } from '../../../src/errors.ts';
import type { Happening, ReconcileContext } from '../../../src/report/happenings.ts';
import { endpoint, found, settings } from '../../support/values/catalog.ts';
import { recordedReport } from '../../support/values/recorded-report.ts';
import { configOf } from '../../support/values/render.ts';

const catalog = createCatalog(settings(), 0);
const reasons = [{ code: 'bind_changed', section: 'frontend web:in' }] as const;

function reconciled(
  result: ReconcileContext['result'],
  { rejected = [], ...more }: Partial<ReconcileContext> & Partial<ReconcileContext['collection']> = {},
): Happening {
  const context = { catalog, changedAt: null, isServing: true, quarantined: [], sections: null };
  const config = more.config ?? { services: new Map() };
  const collection = { catalog: more.catalog ?? catalog, rejected, config };
  return { kind: 'reconciled', result, ...context, collection, renderMs: 1, tookMs: 5, ...more };
}

const rejected = (message: string): Happening =>
  reconciled({ kind: 'rejected', problems: [{ message, service: 'web', line: 7 }], at: 0 });
const runtime = reconciled({ kind: 'runtime', commands: 2, owners: ['backend web'], tookMs: 3 });

test('an update that fails in the same way again is logged once, and an event and counted each time', async () => {
  const { reporter, lines, kinds, metric } = recordedReport();
  for (let attempt = 0; attempt < 5; attempt++) reporter.report(rejected('unknown keyword'));
  reporter.report(rejected('missing argument'));
  assert.deepEqual(lines, Array(2).fill('error update rejected, what runs stays as it is; retrying'));
  assert.deepEqual(kinds(), Array(6).fill('rejected'));
  assert.equal(await metric('myelin_updates_total{result="rejected"}'), 6);
  reporter.report(runtime);
  reporter.report(rejected('missing argument'));
  assert.equal(lines.length, 4, 'after one that went well it is another failure');
});

test('the last apply is the one that failed until what could not be applied is not wanted any more', () => {
  const { reporter } = recordedReport(() => 100);
  reporter.report(runtime);
  const good = reporter.lastApply;
  assert.deepEqual(
    [good?.at, good?.result, good?.backends, good?.tookMs, good?.error],
    [100, 'runtime', ['web'], 5, null],
  );
  reporter.report(rejected('unknown keyword'));
  assert.equal(reporter.lastApply?.error, 'service web: unknown keyword');
  reporter.report(reconciled({ kind: 'noop' }));
  assert.equal(reporter.lastApply, good);
});

test('the last reload keeps its reasons while commands change servers', () => {
  const { reporter } = recordedReport(() => 100);
  const lastReasons = (): unknown => reporter.lastReload?.reasons ?? null;
  reporter.report(runtime);
  assert.equal(lastReasons(), null);
  reporter.report(reconciled({ kind: 'reload', reasons, tookMs: 250 }));
  reporter.report(runtime);
  reporter.report(rejected('unknown keyword'));
  assert.deepEqual(lastReasons(), reasons);
});

test('a reload is told with its reasons, and counted with how long it took itself', async () => {
  const { reporter, lines, facts, metric } = recordedReport(() => 100);
  reporter.report({ kind: 'reload_started', reasons });
  reporter.report(reconciled({ kind: 'reload', reasons, tookMs: 250 }, { changedAt: 20, tookMs: 300 }));
  assert.deepEqual(lines, ['info HAProxy reloaded']);
  assert.deepEqual(facts, [{ kind: 'reload', reasons, tookMs: 300, reloadMs: 250, sinceChangeMs: 80 }]);
  assert.equal(await metric('myelin_reloads_total{reason="bind_changed",result="ok"}'), 1);
  assert.equal(await metric('myelin_reload_duration_seconds_sum'), 0.25);
  assert.equal(await metric('myelin_event_to_applied_seconds_sum'), 0.08);
  assert.equal(await metric('myelin_updates_total{result="reload"}'), 1);
});

test('a reload that waits is an event once, however many changes come meanwhile, and the status shows it', () => {
  const { reporter, kinds } = recordedReport();
  const pending = (at: number): Happening => reconciled({ kind: 'pending', reasons, because: 'min_interval', at });
  for (let change = 0; change < 3; change++) reporter.report(pending(2000));
  assert.deepEqual([kinds(), reporter.pending?.because], [['pending'], 'min_interval']);
  reporter.report(pending(3000));
  reporter.report(runtime);
  assert.deepEqual([kinds(), reporter.pending], [['pending', 'pending', 'runtime'], null]);
});

test('an update that could not be made, and one that broke, are failures with their cause and remedy', async () => {
  const { reporter, facts, metric, events } = recordedReport();
  const error = new AppError('MYELIN_HAPROXY_UNAVAILABLE', 'no haproxy', { remedy: 'install HAProxy' });
  reporter.report(reconciled({ kind: 'failed', error, reasons, at: 0 }, { isServing: false }));
  const bug = new TypeError('x is not a function');
  for (let attempt = 0; attempt < 2; attempt++) reporter.report({ kind: 'reconcile_failed', error: bug });
  assert.deepEqual(
    facts.map(({ kind, remedy, isServing, err }) => [kind, remedy, isServing, err]),
    [
      ['failed', 'install HAProxy', false, error],
      ['reconcile_failed', undefined, undefined, bug],
    ],
  );
  assert.equal(events.after(null).length, 3);
  assert.equal(await metric('myelin_updates_total{result="failed"}'), 3);
  assert.equal(await metric('myelin_reloads_total{reason="bind_changed",result="failed"}'), 1);
  assert.equal(reporter.lastApply?.error, 'x is not a function');
});

test('a service that is quarantined is told once for each problem, and when it is over', () => {
  const { reporter, lines, kinds } = recordedReport();
  const held = (message: string) => ({
    quarantined: [{ service: 'web', problems: [{ message, service: 'web' }], since: 0 }],
  });
  for (const message of ['unknown keyword', 'unknown keyword', 'missing argument'])
    reporter.report(reconciled({ kind: 'noop' }, held(message)));
  assert.equal(reporter.quarantined[0]?.service, 'web');
  reporter.report(reconciled({ kind: 'noop' }));
  assert.deepEqual(lines, [
    'error service quarantined, the others are applied',
    'error service quarantined, the others are applied',
    'info service released from quarantine',
  ]);
  assert.deepEqual(kinds(), ['quarantined', 'quarantined', 'quarantine_ended']);
});

test('a fault that quarantines several services is told once, with their names; where nothing goes live, by the result alone', () => {
  const { reporter, facts, kinds } = recordedReport();
  const problems = (service: string | null) => [{ message: 't.hbs:2:5: there is no field "nam" here', service }];
  const quarantined = ['api', 'web'].map((service) => ({ service, problems: problems(service), since: 0 }));
  const all = quarantined.flatMap((one) => one.problems);
  reporter.report(reconciled({ kind: 'rejected', problems: all, at: 0 }, { quarantined, isServing: false }));
  assert.deepEqual(kinds(), ['rejected']);
  reporter.report(reconciled({ kind: 'noop' }, { quarantined }));
  assert.deepEqual(facts.slice(1), [{ kind: 'quarantined', services: ['api', 'web'], problems: problems(null) }]);
});

test('endpoints that are retained are told when they begin to be, by why, and when that is over', () => {
  const { reporter, lines, facts } = recordedReport(() => 1000);
  const ten = Array.from({ length: 10 }, (_, at) => endpoint(`e${at}`, `10.0.0.${at + 1}`));
  let now = createCatalog(settings({ services: { web: { onEmpty: 'keep' } } }), 0);
  for (const endpoints of [ten, ten.slice(0, 3), ten.slice(0, 3), [], ten]) {
    now = receive(now, found(endpoints), 1000);
    reporter.report(reconciled({ kind: 'noop' }, { catalog: now }));
  }
  assert.deepEqual(lines, [
    'warn web: large loss of endpoints, retaining them (maxShrink)',
    'warn web: loss of all endpoints, retaining the last ones (onEmpty)',
    'info web: no endpoints are retained any more',
  ]);
  assert.deepEqual([facts[0]?.endpoints, facts[0]?.remedy, facts[1]?.until], [7, 'myelin accept web', null]);
});

test('a discovered service that is left out is told for each reason, of very many some, and when it is over', () => {
  const { reporter, lines, facts } = recordedReport();
  const out = (reason: string, count = 1) => ({
    rejected: Array.from({ length: count }, (_, at) => ({ watcher: 'cluster', service: `s${at}`, reason })),
  });
  const steps = [out('no port'), out('no port'), out('no room', 25), { rejected: [] }];
  for (const step of steps) reporter.report(reconciled({ kind: 'noop' }, step));
  assert.equal(lines[0], 'warn cluster/s0: discovered service left out, the others are served');
  assert.equal(lines.filter((line) => line.startsWith('warn cluster/')).length, 21);
  assert.deepEqual(facts.find(({ kind }) => kind === 'left_out_others')?.count, 5);
  assert.equal(lines.at(-1), 'info cluster/s19: discovered service is no longer left out');
});

test('a route that another service has is told with who has it, again when that is another one, and when it is over', () => {
  const { reporter, lines, facts } = recordedReport();
  const config = (...names: readonly string[]) =>
    configOf({
      frontends: { public: { bind: ':80' } },
      services: Object.fromEntries(names.map((name) => [name, { routes: '/blog' }])),
    });
  for (const names of [['a', 'b'], ['a', 'b'], ['b'], ['b', 'c'], ['a', 'b', 'c']])
    reporter.report(reconciled({ kind: 'noop' }, { config: config(...names) }));
  assert.deepEqual(lines, [
    'warn b: route left out: another service has it',
    'info b: route is no longer left out',
    'warn c: route left out: another service has it',
    'warn b: route left out: another service has it',
    'warn c: route left out: another service has it',
  ]);
  assert.deepEqual(
    facts.map(({ holder }) => holder),
    ['a', undefined, 'b', 'a', 'a'],
  );
});

test('a service whose new servers need a reload is told after the reload that brings it, once', () => {
  const { reporter, lines, facts } = recordedReport();
  const text = 'backend web\n\tserver-template a 2 10.0.0.1:80\n';
  const sections = [{ kind: 'backend', name: 'web', text, service: 'web' }];
  const reload = { kind: 'reload', reasons, tookMs: 1 } as const;
  reporter.report(reconciled({ kind: 'noop' }, { sections }));
  assert.equal(lines.length, 0);
  for (let round = 0; round < 2; round++) reporter.report(reconciled(reload, { sections }));
  assert.equal(lines.filter((line) => line.startsWith('warn web: each new server')).length, 1, lines.join('\n'));
  assert.equal(facts.find(({ kind }) => kind === 'reload_only')?.because, 'server-template');
});

test('drift that is repaired is told and counted each time, drift that is left once until it is another', async () => {
  const { reporter, lines, metric } = recordedReport();
  const drift = (detail: string, isRepaired: boolean): Happening => {
    return { kind: 'drift', drift: [{ backend: 'web', server: 'a', kind: 'weight', detail }], isRepaired };
  };
  for (const detail of ['7', '7', '8']) reporter.report(drift(detail, false));
  assert.deepEqual(lines, Array(2).fill('warn drift found and left (drift: report)'));
  for (let round = 0; round < 2; round++) reporter.report(drift('8', true));
  assert.equal(lines.length, 4);
  assert.equal(await metric('myelin_drift_repairs_total'), 2);
});

test('trouble in the background is told once in five minutes, and another trouble at once', () => {
  let now = 0;
  const { reporter, lines, kinds } = recordedReport(() => now);
  const trouble = (text: string): void => reporter.report({ kind: 'trouble', error: new Error(text) });
  for (const text of ['a', 'a', 'b', 'a']) trouble(text);
  assert.deepEqual([lines.length, kinds().length], [2, 2]);
  now = 299_999;
  trouble('a');
  now = 300_000;
  trouble('a');
  assert.deepEqual([lines.length, kinds().length], [3, 3]);
});

test('a config that is read says what waits for answers, and what for a restart', () => {
  const { reporter, lines, facts } = recordedReport();
  reporter.report({ kind: 'config_read', waitingFor: [], afterRestart: [] });
  assert.deepEqual(lines, ['info config and templates read again']);
  reporter.report({ kind: 'config_read', waitingFor: ['web'], afterRestart: ['state'] });
  assert.deepEqual(facts.slice(2), [
    { kind: 'config_waits', services: ['web'] },
    { kind: 'restart_required', settings: ['state'] },
  ]);
});

test('what an operator does to a server is told with its end', () => {
  const { reporter, facts } = recordedReport();
  const server = { backend: 'web', server: 'a' };
  reporter.report({ kind: 'override_set', override: { ...server, state: 'drain', until: null } });
  reporter.report({ kind: 'override_set', override: { ...server, state: null, until: null } });
  reporter.report({ kind: 'override_ended', override: server });
  assert.deepEqual(facts, [
    { kind: 'override_set', ...server, state: 'drain', until: null },
    { kind: 'override_set', ...server, state: 'ready', until: null },
    { kind: 'override_ended', ...server },
  ]);
});

test('connections that a limit closes are counted: at least one where their number is not known', async () => {
  const { reporter, metric } = recordedReport();
  for (const connections of [null, 4])
    reporter.report({ kind: 'connections_closed', limit: 'drain_timeout', pid: 1, connections });
  assert.equal(await metric('myelin_connections_closed_total{limit="drain_timeout"}'), 5);
});
