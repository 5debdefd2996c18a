/** The arithmetic of file descriptors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fdProblem } from '../../../src/apply/checks/fd-limit.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';

const config = (maxconn: string) =>
  splitSections(
    `global\n${maxconn}frontend f\n    bind :80\n    bind :81\nbackend b\n    maxconn 9\n    server s 10.0.0.1:80 check\n`,
  );

test('a maxconn that cannot fit is refused with what it takes', () => {
  const problem = fdProblem(config('    maxconn 10000\n'), 20_000);
  assert.match(
    problem?.message ?? '',
    /^10000 connections need 20003 file descriptors or more, and this user may open 20000: set maxconn to 9998 or less, or raise/,
  );
  assert.deepEqual([problem?.text, problem?.code], ['maxconn 10000', 'MYELIN_HAPROXY_FAILED']);
  assert.equal(fdProblem(config('    maxconn 9998\n'), 20_000), null, 'as it says');
  assert.equal(fdProblem(config('    maxconn 9000\n'), 20_000), null);
});

test('without a maxconn, or without a limit, HAProxy fits itself', () => {
  assert.equal(fdProblem(config(''), 100), null);
  assert.equal(fdProblem(config('    maxconn 10000\n'), null), null);
});
