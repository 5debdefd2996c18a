import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NameIndex } from '../../../src/lib/name-index.ts';

type Item = { readonly name: string; readonly value: number };

const pool: readonly Item[] = Array.from({ length: 60 }, (_, value) => ({ name: `item-${value % 45}`, value }));
const isIn = ({ value }: Item): boolean => value % 7 !== 0;
const edit = fc.tuple(fc.nat(60), fc.nat(3), fc.array(fc.constantFrom(...pool), { maxLength: 3 }));

test('NameIndex: finds in a list that has changed what one made of it finds, with names that stand twice too', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.constantFrom(...pool)), fc.array(edit, { maxLength: 12 }), (first, edits) => {
      const followed = new NameIndex(isIn);
      let items: readonly Item[] = first;
      for (const [at, gone, come] of [[0, 0, []] as const, ...edits]) {
        items = items.toSpliced(at, gone, ...come);
        const expected = new Map(items.filter(isIn).map((item) => [item.name, item]));
        const found = followed.of(items);
        assert.equal(found.size, expected.size);
        for (const [name, item] of expected) assert.equal(found.get(name), item);
      }
    }),
  );
});
