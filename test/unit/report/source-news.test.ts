import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { noRefusals } from '../../../src/catalog/admission.ts';
import type { LeftOut } from '../../../src/catalog/report.ts';
import type { SourceEvent } from '../../../src/model.ts';
import type { Happening } from '../../../src/report/happenings.ts';
import { recordedReport } from '../../support/values/recorded-report.ts';

const source = (event: SourceEvent, refused: LeftOut = noRefusals, isNews = false): Happening => ({
  kind: 'source',
  event,
  refused,
  isNews,
});
const failed = (reason: string): Happening => source({ watcher: 'consul', kind: 'failed', reason, retryInMs: 900.5 });
const stale = (key: string, reason: string): Happening => source({ watcher: 'consul', kind: 'stale', key, reason });
const answer = (key: string, watcher = 'consul'): SourceEvent => ({ watcher, kind: 'endpoints', key, endpoints: [] });
const known = (key: string): Happening => source(answer(key));
const news = (key: string, watcher = 'consul'): Happening => source(answer(key, watcher), noRefusals, true);

test('an outage is told once for each reason and its end once, however often the source is tried', () => {
  const { reporter, lines, facts, kinds } = recordedReport();
  for (let attempt = 0; attempt < 100; attempt++) reporter.report(failed('ECONNREFUSED'));
  reporter.report(failed('HTTP 500 (No cluster leader)'));
  for (let round = 0; round < 3; round++) reporter.report(known('web'));
  assert.deepEqual(lines, [
    'warn consul: source failed; retrying',
    'warn consul: source failed; retrying',
    'info consul: source answers again',
  ]);
  assert.equal(facts[0]?.retryInMs, 901);
  reporter.report(failed('ECONNREFUSED'));
  assert.equal(lines.length, 4, 'the next outage is another one');
  assert.deepEqual(kinds(), ['source_failed', 'source_failed', 'source_recovered', 'source_failed']);
});

test('a query that fails is told once, and once when it is answered again; the others are not about it', () => {
  const { reporter, lines, facts, kinds } = recordedReport();
  for (let attempt = 0; attempt < 100; attempt++) {
    reporter.report(stale('web', 'HTTP 403'));
    reporter.report(known('db'));
  }
  reporter.flush();
  for (let round = 0; round < 2; round++) reporter.report(known('web'));
  reporter.flush();
  assert.deepEqual(lines, [
    'warn consul: query failed, its last answer serves where there was one',
    'info consul: query is answered again',
  ]);
  assert.deepEqual(
    facts.map(({ queries }) => queries),
    [['web'], ['web']],
  );
  assert.deepEqual(
    kinds().filter((kind) => kind !== 'answered'),
    ['query_failed', 'query_recovered'],
  );
});

test('what is refused is told in one line, with some of it and how much there is', () => {
  const { reporter, facts, kinds } = recordedReport();
  const reason = '127.0.0.1 is a loopback address; to accept it, write allowAddresses: [127.0.0.0/8]';
  const refused = Array.from({ length: 25 }, (_, at) => ({ id: `web-${at}`, part: 'endpoint' as const, reason }));
  reporter.report(source(answer('web'), { list: refused, count: 25 }, true));
  assert.deepEqual(facts, [
    { kind: 'refused', watcher: 'consul', query: 'web', count: 25, refused: refused.slice(0, 20), more: 5 },
  ]);
  assert.deepEqual(kinds(), ['answered', 'refused']);
});

test('what a new config refuses is told in one line, whatever the number of queries', () => {
  const { reporter, lines, facts } = recordedReport();
  const list = [{ id: 'a', part: 'endpoint', reason: 'not in onlyAddresses' }] as const;
  const refused = ['web', 'db'].map((key) => ({ watcher: 'consul', key, list, count: 3 }));
  reporter.report({ kind: 'refused_by_config', refused: [] });
  reporter.report({ kind: 'refused_by_config', refused });
  assert.deepEqual(lines, ['warn some of what the sources say is refused by the new config, the rest is used']);
  assert.deepEqual([facts[0]?.queries, facts[0]?.count], [['consul/web', 'consul/db'], 6]);
});

test('what befalls many queries at once is told together, and so is its end', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { reporter, lines, facts, events } = recordedReport();
  const keys = Array.from({ length: 1000 }, (_, at) => `s${at}`);
  for (const key of keys) reporter.report(stale(key, 'ECONNREFUSED'));
  reporter.report(stale('other', 'HTTP 403'));
  assert.deepEqual(lines, []);
  t.mock.timers.tick(500);
  for (const key of keys) reporter.report(known(key));
  t.mock.timers.tick(500);
  assert.deepEqual(lines, [
    'warn consul: query failed, its last answer serves where there was one',
    'warn consul: query failed, its last answer serves where there was one',
    'info consul: query is answered again',
  ]);
  assert.deepEqual(facts[1]?.queries, ['other']);
  const [first, , last] = events.after(null);
  assert.deepEqual(first?.kind === 'query_failed' && [first.queries.length, first.more], [20, 980]);
  assert.deepEqual(last?.kind === 'query_recovered' && [last.queries.length, last.more], [20, 980]);
});

test('a query that fails, is answered and fails again within a moment is told in that order', () => {
  const { reporter, lines } = recordedReport();
  for (const happening of [stale('web', 'EOF'), known('web'), stale('web', 'EOF')]) reporter.report(happening);
  reporter.flush();
  assert.deepEqual(
    lines.map((line) => line.replace(/^.*?: /, '')),
    [
      'query failed, its last answer serves where there was one',
      'query is answered again',
      'query failed, its last answer serves where there was one',
    ],
  );
});

test('answers that come together are one event, told before what comes of them, and soon if nothing does', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { reporter, events } = recordedReport();
  for (let at = 0; at < 5000; at++) reporter.report(news(`s${at % 3}`));
  reporter.report(news('web', 'file'));
  assert.deepEqual(events.after(null), []);
  reporter.report(source({ watcher: 'consul', kind: 'synced' }));
  reporter.report(news('db', 'file'));
  t.mock.timers.tick(100);
  assert.deepEqual(
    events.after(null).map((event) => [event.kind, 'queries' in event ? event.queries : []]),
    [
      ['answered', ['s0', 's1', 's2']],
      ['answered', ['web']],
      ['synced', []],
      ['answered', ['db']],
    ],
  );
});

test('whatever the order of troubles and answers, each trouble is told when it begins or changes, and when it is over', () => {
  const reason = fc.constantFrom('EOF', 'HTTP 500');
  const key = fc.constantFrom('web', 'db');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('failed' as const), reason }),
    fc.record({ kind: fc.constant('stale' as const), key, reason }),
    fc.record({ kind: fc.constant('answer' as const), key }),
  );
  fc.assert(
    fc.property(fc.array(step), fc.boolean(), (steps, isGathered) => {
      const { reporter, kinds } = recordedReport();
      const troubles = new Map<string, string>();
      const expected: string[] = [];
      const begins = (whose: string, text: string, kind: string): void => {
        if (troubles.get(whose) !== text) expected.push(kind);
        troubles.set(whose, text);
      };
      for (const one of steps) {
        switch (one.kind) {
          case 'failed':
            reporter.report(failed(one.reason));
            begins('', one.reason, 'source_failed');
            break;
          case 'stale':
            reporter.report(stale(one.key, one.reason));
            begins(one.key, one.reason, 'query_failed');
            break;
          case 'answer':
            reporter.report(known(one.key));
            if (troubles.delete('')) expected.push('source_recovered');
            if (troubles.delete(one.key)) expected.push('query_recovered');
        }
        if (!isGathered) reporter.flush();
      }
      reporter.flush();
      if (!isGathered) assert.deepEqual(kinds(), expected);
      // Told together, they are fewer; what stands at the end is told all the same.
      else for (const kind of new Set(expected)) assert.ok(kinds().includes(kind), kind);
    }),
  );
});
