import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentOf, plainEnvironment } from '../../../src/lib/environment.ts';

const env = {
  PATH: '/bin',
  LC_ALL: 'C',
  CONSUL_HTTP_TOKEN: 'secret',
  KUBECONFIG: '/kube',
  STATS_PASSWORD: 'pw',
  A: '1',
  B: '2',
  C: '3',
  D: '4',
  E: '5',
  OTHER: '6',
};

test('a child is given what any program needs, and nothing else', () => {
  assert.deepEqual(plainEnvironment(env), { PATH: '/bin', LC_ALL: 'C' });
});

test('HAProxy is given what its config names, in each way in which it can', () => {
  const config = [
    'global',
    '    presetenv A none',
    'defaults',
    '    log-format "$' + '{B} $C"',
    '    http-request set-header x %[env(D)]',
    '.if defined(E)',
    '.endif',
    '    http-request set-header y "\\$OTHER"',
  ].join('\n');
  assert.deepEqual(Object.keys(environmentOf(env, config, [])).sort(), ['A', 'B', 'C', 'D', 'E', 'LC_ALL', 'PATH']);
});

test('the variables of a source are given to nobody who is not named for them', () => {
  const config = '    http-request set-header x "$' + '{CONSUL_HTTP_TOKEN}$' + '{KUBECONFIG}"';
  assert.deepEqual(Object.keys(environmentOf(env, config, [])), ['PATH', 'LC_ALL']);
  assert.deepEqual(Object.keys(environmentOf(env, config, ['KUBECONFIG', 'OTHER'])), [
    'PATH',
    'LC_ALL',
    'KUBECONFIG',
    'OTHER',
  ]);
});
