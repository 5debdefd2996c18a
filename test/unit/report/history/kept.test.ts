/** What is kept of what happened: bounded, and not flushed by noise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../../../src/report/events.ts';
import { concerns } from '../../../../src/report/history/concerns.ts';
import { Kept, mostBytes, type PastEvent, pastEventOf, windowMs } from '../../../../src/report/history/kept.ts';
import type { ShownMessage } from '../../../../src/report/messages.ts';
import { sampleEvents } from '../../../support/values/events.ts';

let count = 0;
const at = (time: number, message: ShownMessage): Event => ({ id: `run-${++count}`, at: time, ...message });
const loss = (time: number, service: string): Event => at(time, { kind: 'loss_ended', service });
const list = (kept: Kept): readonly PastEvent[] => kept.entries.map(pastEventOf);

test('what happens again within five minutes is one entry with its number, also when numbers differ', () => {
  const kept = new Kept();
  const change = (time: number, commands: number): Event =>
    at(time, { kind: 'runtime', backends: ['web'], more: 0, commands, tookMs: time / 7, sinceChangeMs: null });
  for (const time of [0, 1000, 2000]) kept.add(change(time, time));
  kept.add(at(1500, { kind: 'runtime', backends: ['db'], more: 0, commands: 1, tookMs: 1, sinceChangeMs: null }));
  kept.add(change(windowMs, 9));
  const told = list(kept).map((event) => [
    event.kind === 'runtime' && event.commands,
    event.times,
    event.at,
    event.lastAt,
  ]);
  assert.deepEqual(told, [
    [2000, 3, 0, 2000],
    [1, 1, 1500, 1500],
    [9, 1, windowMs, windowMs],
  ]);
});

test('a service that flaps for a day, and a fleet that does, push out neither the reload nor the rejection before', () => {
  const kept = new Kept();
  kept.add(
    at(0, { kind: 'reload', reasons: [{ code: 'bind_changed' }], more: 0, tookMs: 1, reloadMs: 1, sinceChangeMs: 1 }),
  );
  kept.add(
    at(1, { kind: 'rejected', problems: [{ message: 'unknown keyword', service: null }], more: 0, isServing: true }),
  );
  let written = 0;
  for (let time = 2; time < 24 * 3_600_000; time += 10_000) {
    kept.add(loss(time, 'flaps'));
    const { before } = kept.add(loss(time + 1, `fleet-${'x'.repeat(200)}-${time % 9_999}`));
    if (before === null) written += 1;
  }
  assert.ok(kept.bytes <= mostBytes);
  assert.deepEqual(
    list(kept)
      .slice(0, 2)
      .map(({ kind }) => kind),
    ['reload', 'rejected'],
  );
  assert.ok(written <= 20 * 24 * 12, `${written} entries began`);
});

test('of many events of one kind at once the first are listed, and the others are counted', () => {
  const kept = new Kept();
  const listed = Array.from({ length: 100 }, (_, service) => kept.add(loss(service, `s${service}`)).isListed);
  assert.deepEqual([listed.filter(Boolean).length, list(kept).at(-1)?.others], [20, 80]);
  assert.ok(kept.add(loss(200, 's3')).isListed, 'one that is listed is counted where it stands');
});

test('whatever happens, what is kept has its bounds, and its entries are in the order in which they began', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          sample: fc.nat(sampleEvents.length - 1),
          after: fc.nat(windowMs),
          text: fc.string({ maxLength: 3000 }),
        }),
      ),
      (happened) => {
        const kept = new Kept();
        let time = 0;
        for (const { sample, after, text } of happened) {
          time += after;
          kept.add({ ...(sampleEvents[sample] as Event), id: `x-${time}`, at: time, ...{ text } });
          assert.ok(kept.bytes <= mostBytes);
        }
        assert.equal(
          kept.bytes,
          kept.entries.reduce((sum, { bytes }) => sum + bytes, 0),
        );
        assert.deepEqual(
          list(kept).map((event) => event.at),
          list(kept)
            .map((event) => event.at)
            .sort((a, b) => a - b),
        );
      },
    ),
  );
});

test('an event is about the services that it names, and not about those that a sentence mentions', () => {
  const about = (service: string): readonly string[] =>
    sampleEvents.filter((event) => concerns(event, service)).map(({ kind }) => kind);
  assert.ok(about('web').includes('reload'), 'by the frontend of the service in a reason');
  assert.ok(about('web').includes('quarantined') && about('web').includes('drift_repaired'));
  assert.deepEqual(about('keyword'), []);
  assert.deepEqual(about('blog'), ['route_left_out']);
});
