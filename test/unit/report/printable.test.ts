/** What may reach a terminal of what others have written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { printable, printableJson, printableLines } from '../../../src/report/text/printable.ts';

/** Of seven and of eight bits, and characters that turn the direction or break lines. */
const hostile = 'a\x1b[2Jb\x9b31mc\u202ed\u2028e\x7ff\u2066g';
const unsafe = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

test('no control character and none that turns the direction of a text is shown as it is', () => {
  for (const text of [printable(hostile), printableLines(hostile), printableJson(hostile)])
    assert.doesNotMatch(text, unsafe);
  assert.equal(printable('a\nb'), 'a\\u000ab');
  assert.equal(printableLines('a\n\tb'), 'a\n\tb');
});

test('JSON that is shown reads as the same value', () => {
  const value = { [hostile]: [hostile, 'ä 日本 \n'] };
  assert.deepEqual(JSON.parse(printableJson(value)), value);
  assert.deepEqual(JSON.parse(printableJson(value, 2)), value);
});
