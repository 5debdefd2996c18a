import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { differenceOf } from '../../../src/lib/difference.ts';
import { SortedMap } from '../../../src/lib/sorted-map.ts';

const key = fc.nat({ max: 200 }).map((number) => `service-${number}`);
const entries = fc.array(fc.tuple(key, fc.nat({ max: 3 })), { maxLength: 150 });
const edits = fc.array(fc.tuple(key, fc.option(fc.nat({ max: 3 }), { nil: undefined })), { maxLength: 30 });

function edited(
  before: readonly (readonly [string, number])[],
  by: readonly (readonly [string, number | undefined])[],
) {
  const model = new Map(before);
  for (const [name, value] of by)
    if (value === undefined) model.delete(name);
    else model.set(name, value);
  return new Map([...model].sort(([a], [b]) => (a < b ? -1 : 1)));
}

suite('SortedMap', () => {
  test('has what a map has that is edited and sorted', () => {
    fc.assert(
      fc.property(entries, edits, (before, by) => {
        const [sorted, model] = [SortedMap.of(before).with(by), edited(before, by)];
        assert.deepEqual([...sorted], [...model]);
        assert.equal(sorted.size, model.size);
        for (const [name] of [...before, ...by]) {
          assert.equal(sorted.get(name), model.get(name));
          assert.equal(sorted.has(name), model.has(name));
        }
      }),
    );
  });

  test('is the same, chunk by chunk, whatever it was made from', () => {
    fc.assert(
      fc.property(entries, edits, (before, by) => {
        assert.deepEqual(SortedMap.of(before).with(by), SortedMap.of(edited(before, by)));
      }),
    );
  });

  test('tells as differences what two maps tell', () => {
    fc.assert(
      fc.property(entries, edits, (before, by) => {
        const [a, b] = [SortedMap.of(before), SortedMap.of(before).with(by)];
        const told = (difference: ReturnType<typeof differenceOf<string, number>>) =>
          difference && { come: new Map(difference.come), gone: new Map(difference.gone) };
        assert.deepEqual(told(differenceOf(a, b)), told(differenceOf(new Map(a), new Map(b))));
      }),
    );
  });

  test('stays itself where an edit changes nothing, and keeps the chunks that an edit does not touch', () => {
    const many = SortedMap.of(Array.from({ length: 1000 }, (_, at) => [`service-${at}`, at] as const));
    assert.equal(
      many.with([
        ['service-7', 7],
        ['nobody', undefined],
      ]),
      many,
    );
    const more = many.with([['service-7', 8]]);
    assert.equal(more.chunks.filter((chunk) => !many.chunks.includes(chunk)).length, 1);
  });
});
