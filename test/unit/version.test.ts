import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeProblem, ownVersion } from '../../src/version.ts';

test('a Node that is too old is refused by its version', () => {
  assert.equal(nodeProblem('20.19.2'), 'myelin needs Node 24 or newer, and this is Node 20.19.2');
  assert.equal(nodeProblem('24.0.0'), null);
  assert.equal(nodeProblem('26.1.0'), null);
  assert.equal(nodeProblem(process.versions.node), null);
});

test('the version is that of the package', () => {
  assert.match(ownVersion(), /^\d+\.\d+\.\d+$/);
});
