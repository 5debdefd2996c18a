import assert from 'node:assert/strict';
import test from 'node:test';
import { didYouMean } from '../../../src/lib/did-you-mean.ts';

test('the nearest name is suggested, and never the one that was written', () => {
  assert.equal(didYouMean('on_empty', ['onEmpty', 'bind']), '; did you mean "onEmpty"?');
  assert.equal(didYouMean('web', ['web']), '');
  assert.equal(didYouMean('web', ['web', 'wob']), '; did you mean "wob"?');
});
