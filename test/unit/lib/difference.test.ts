import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { differenceOf } from '../../../src/lib/difference.ts';

const map = fc
  .uniqueArray(fc.tuple(fc.nat(20), fc.nat(2)), { selector: ([key]) => key })
  .map((entries) => new Map(entries));

test('differenceOf: what came, put in the place of what is gone, makes the second map of the first', () => {
  fc.assert(
    fc.property(map, map, (before, now) => {
      const difference = differenceOf(before, now);
      assert.ok(difference !== null);
      const made = new Map(before);
      for (const [key, value] of difference.gone) {
        assert.equal(made.get(key), value);
        made.delete(key);
      }
      for (const [key, value] of difference.come) {
        assert.ok(!made.has(key));
        made.set(key, value);
      }
      assert.deepEqual(new Map([...made].sort()), new Map([...now].sort()));
    }),
  );
});

test('differenceOf: two maps that hardly have anything in common are not compared to the end', () => {
  const of = (value: number) => new Map(Array.from({ length: 100 }, (_, at) => [at, value]));
  assert.equal(differenceOf(of(1), of(2)), null);
  assert.equal(differenceOf(of(1), new Map()), null);
});
