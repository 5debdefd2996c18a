import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noRefusals } from '../../../src/catalog/guard.ts';
import type { SourceEvent } from '../../../src/model.ts';
import { Events } from '../../../src/report/events.ts';
import type { Log } from '../../../src/report/log.ts';
import { SourceLog } from '../../../src/report/source-log.ts';

/** What is logged at `info` and above (level, what it is about, message), and the kinds of the events. */
function recorder(): {
  readonly log: Log;
  readonly lines: readonly string[];
  readonly events: Events;
  readonly kinds: () => readonly string[];
} {
  const lines: string[] = [];
  const at =
    (level: string) =>
    (facts: Readonly<Record<string, unknown>>, message: string): void => {
      const { watcher, query } = facts;
      lines.push(`${level} ${String(watcher)}${query === undefined ? '' : `/${String(query)}`}: ${message}`);
    };
  const levels = ['fatal', 'error', 'warn', 'info'].map((level) => [level, at(level)]);
  const log = { ...Object.fromEntries(levels), debug: () => undefined, trace: () => undefined } as unknown as Log;
  const events = new Events({ now: () => 0, masked: (value) => value });
  return { log, lines, events, kinds: () => events.after(null).map(({ kind }) => kind) };
}

const failed = (reason: string): SourceEvent => ({ watcher: 'consul', kind: 'failed', reason, retryInMs: 900.5 });
const stale = (key: string, reason: string): SourceEvent => ({ watcher: 'consul', kind: 'stale', key, reason });
const answer = (key: string): SourceEvent => ({ watcher: 'consul', kind: 'endpoints', key, endpoints: [] });

test('an outage is told once for each reason and its end once, however often the source is tried', () => {
  const { log, lines, events, kinds } = recorder();
  const sources = new SourceLog(log, events);
  for (let attempt = 0; attempt < 100; attempt++) sources.note(failed('ECONNREFUSED'), noRefusals, false);
  sources.note(failed('HTTP 500 (No cluster leader)'), noRefusals, false);
  for (let round = 0; round < 3; round++) sources.note(answer('web'), noRefusals, false);
  assert.deepEqual(lines, [
    'warn consul: source failed, what is known of it serves on',
    'warn consul: source failed, what is known of it serves on',
    'info consul: source answers again',
  ]);
  sources.note(failed('ECONNREFUSED'), noRefusals, false);
  assert.equal(lines.length, 4, 'the next outage is another one');
  assert.deepEqual(kinds(), ['source_failed', 'source_failed', 'source_recovered', 'source_failed']);
});

test('a question that fails is told once, and once when it is answered again; the others are not about it', () => {
  const { log, lines, events, kinds } = recorder();
  const sources = new SourceLog(log, events);
  for (let attempt = 0; attempt < 100; attempt++) {
    sources.note(stale('web', 'HTTP 403'), noRefusals, false);
    sources.note(answer('db'), noRefusals, false);
  }
  for (let round = 0; round < 2; round++) sources.note(answer('web'), noRefusals, false);
  sources.flush();
  assert.deepEqual(lines, [
    'warn consul/web: answer is stale, the last one serves on',
    'info consul/web: answer is fresh again',
  ]);
  assert.deepEqual(kinds(), ['answer_stale', 'answer_fresh']);
});

test('what is left out is told in one line, with some of it and how much there is', () => {
  const told: Readonly<Record<string, unknown>>[] = [];
  const { log, events, kinds } = recorder();
  const sources = new SourceLog(
    {
      ...log,
      warn: (facts: Readonly<Record<string, unknown>>) => told.push(facts),
    } as Log,
    events,
  );
  const reason = '127.0.0.1 is a loopback address; to accept it, write allowAddresses: [127.0.0.0/8]';
  const refused = Array.from({ length: 25 }, (_, at) => ({ id: `web-${at}`, part: 'endpoint' as const, reason }));
  sources.note(answer('web'), { list: refused.slice(0, 20), count: 25 }, true);
  assert.deepEqual(told, [{ watcher: 'consul', query: 'web', count: 25, refused: refused.slice(0, 10) }]);
  assert.deepEqual(kinds(), ['answered', 'refused']);
});

test('what befalls many questions at once is told together, and so is its end', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { log, lines, events } = recorder();
  const sources = new SourceLog(log, events);
  const keys = Array.from({ length: 1000 }, (_, at) => `s${at}`);
  for (const key of keys) sources.note(stale(key, 'ECONNREFUSED'), noRefusals, false);
  sources.note(stale('other', 'HTTP 403'), noRefusals, false);
  assert.deepEqual(lines, []);
  t.mock.timers.tick(500);
  for (const key of keys) sources.note(answer(key), noRefusals, false);
  t.mock.timers.tick(500);
  assert.deepEqual(lines, [
    'warn consul: answers are stale, the last ones serve on',
    'warn consul/other: answer is stale, the last one serves on',
    'info consul: answers are fresh again',
  ]);
  const [first, , last] = events.after(null);
  assert.deepEqual(first?.kind === 'answer_stale' && [first.queries.length, first.more], [20, 980]);
  assert.deepEqual(last?.kind === 'answer_fresh' && [last.queries.length, last.more], [20, 980]);
});

test('a question that fails, is answered and fails again within a moment is told in that order', () => {
  const { log, lines, events } = recorder();
  const sources = new SourceLog(log, events);
  for (const event of [stale('web', 'EOF'), answer('web'), stale('web', 'EOF')]) sources.note(event, noRefusals, false);
  sources.flush();
  assert.deepEqual(
    lines.map((line) => line.replace(/^.*: /, '')),
    ['answer is stale, the last one serves on', 'answer is fresh again', 'answer is stale, the last one serves on'],
  );
});
