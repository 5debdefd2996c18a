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
  assert.match(
    fdProblem(config('    maxconn 10000\n'), 20_000) ?? '',
    /^global maxconn 10000 needs 20003 file descriptors or more, and this user may open 20000: lower maxconn, or raise/,
  );
  assert.equal(fdProblem(config('    maxconn 9000\n'), 20_000), null);
});

test('without a maxconn, or without a limit, HAProxy fits itself', () => {
  assert.equal(fdProblem(config(''), 100), null);
  assert.equal(fdProblem(config('    maxconn 10000\n'), null), null);
});
