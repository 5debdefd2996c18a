import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { ChunkedList } from '../../../src/lib/chunked-list.ts';

type Item = { readonly value: number };

const pool: readonly Item[] = Array.from({ length: 40 }, (_, value) => ({ value }));
const begins = ({ value }: Item): boolean => value % 4 === 0;
const lists = fc.array(fc.array(fc.constantFrom(...pool), { maxLength: 30 }), { maxLength: 12 });

suite('ChunkedList', () => {
  test('has the chunks that a new one would have, whatever it was before', () => {
    fc.assert(
      fc.property(lists, (steps) => {
        const followed = new ChunkedList(begins);
        for (const items of steps) assert.deepEqual(followed.of(items), new ChunkedList(begins).of(items));
      }),
    );
  });

  test('has all items in their order, and keeps the chunks that are the same', () => {
    fc.assert(
      fc.property(fc.nat(39), fc.option(fc.nat(39)), (gone, twin) => {
        const followed = new ChunkedList(begins);
        const before = followed.of(pool);
        assert.deepEqual(before.flat(), pool);
        const items = pool.toSpliced(gone, 1, ...(twin === null ? [] : [{ value: twin }]));
        const after = followed.of(items);
        assert.deepEqual(after.flat(), items);
        const same = after.filter((chunk) => before.includes(chunk));
        assert.ok(same.length >= before.length - 2, `${same.length} of ${before.length}`);
      }),
    );
  });
});
