import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Rendered } from '../../../src/model.ts';
import { VerifySchedule } from '../../../src/reconcile/runtime/verify-schedule.ts';

const count = 250;
const running: Rendered = {
  sections: Array.from({ length: count }, (_, at) => {
    const name = `service-${at}`;
    return { kind: 'backend', name, text: `backend ${name}\n    server a 10.0.0.1:80\n`, service: name };
  }),
};
const touch = { kind: 'server', action: 'weight', backend: 'service-7', server: 'a', weight: 1 } as const;

suite('VerifySchedule', () => {
  test('begins one new round for all of a new process, and the next one when that is over', () => {
    const schedule = new VerifySchedule(() => 30_000);
    schedule.everything(running, 0);
    const rounds: boolean[] = [];
    let owners = 0;
    for (let at = 100; owners < count; at += 1) {
      const due = schedule.take(running, at);
      owners += due.owners.length;
      rounds.push(due.rotation.isNewRound);
      assert.equal(due.rotation.rotated.size, due.owners.length);
    }
    assert.deepEqual(rounds, [true, ...rounds.slice(1).map(() => false)]);
    let [again, isNew] = [100, false];
    for (; !isNew && again < 90_000; again += 1000) isNew = schedule.take(running, again).rotation.isNewRound;
    assert.ok(isNew && again > 20_000, `${again}`);
  });

  test('tells what commands have touched from what has its turn, whichever comes first', () => {
    for (const isFirst of [true, false]) {
      const schedule = new VerifySchedule(() => 30_000);
      if (isFirst) schedule.touched([touch], 0);
      schedule.everything(running, 0);
      if (!isFirst) schedule.touched([touch], 0);
      const { owners, rotation } = schedule.take(running, 100);
      assert.ok(owners.includes('backend service-7'));
      assert.ok(!rotation.rotated.has('backend service-7'));
      assert.equal(rotation.rotated.size, owners.length - 1);
    }
  });

  test('knows the commands for which alone something is due', () => {
    const schedule = new VerifySchedule(() => 30_000);
    schedule.take(running, 0);
    const owner = 'map public';
    const about = (key: string) => ({ kind: 'map', action: 'add', map: 'public', key, value: 'a' }) as const;
    const take = (at: number) => schedule.take({ sections: [] }, at).touched.get(owner);
    schedule.touched([about('a/'), about('b/')], 0);
    schedule.touched([about('c/')], 10);
    assert.deepEqual(take(60), [about('a/'), about('b/'), about('c/')]);
    schedule.touched([about('d/')], 100);
    assert.deepEqual(take(160), [about('d/')]);
    schedule.again([owner], 200);
    schedule.touched([about('e/')], 200);
    assert.equal(take(260), undefined);
    schedule.touched([about('f/')], 300);
    schedule.soon([owner], 300);
    assert.equal(take(360), undefined);
  });

  test('reads again as before what HAProxy did not answer', () => {
    const schedule = new VerifySchedule(() => 30_000);
    schedule.everything(running, 0);
    const due = schedule.take(running, 100);
    schedule.retry(due, 100);
    let isNew = false;
    const rotated = new Set<string>();
    for (let at = 1100; at < 1200; at++) {
      const again = schedule.take(running, at);
      isNew ||= again.rotation.isNewRound;
      for (const owner of again.rotation.rotated) rotated.add(owner);
    }
    assert.ok(isNew);
    for (const owner of due.owners) assert.ok(rotated.has(owner), owner);
  });
});
