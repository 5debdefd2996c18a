/** CA certificates: planned, said, classified, read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selfSignedPem } from '../../../../src/certificates/self-signed.ts';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { parseVersion } from '../../../../src/haproxy/binary/version.ts';
import { caFiles } from '../../../../src/haproxy/resources/ca-files/index.ts';
import { say } from '../../../../src/haproxy/resources/index.ts';
import type { Rendered, Section } from '../../../../src/model.ts';
import { planChange, planMeanwhile } from '../../../../src/plan/plan.ts';

const on = (version: string) => ({
  capabilities: capabilitiesOf(parseVersion(version) ?? assert.fail()),
  leaving: [],
  started: null,
});
const clients = '/run/certs/public.ca-file';
const servers = '/run/my certs/servers+ca-1.ca-file';
const section = (kind: string, name: string, text: string): Section => ({ kind, name, text, service: null });
const frontend = section(
  'frontend',
  'public',
  `frontend public\n    bind :443 ssl crt x.pem ca-file ${clients} verify required\n`,
);
const backend = section('backend', 'web', `backend web\n    default-server ssl verify required ca-file "${servers}"\n`);
const state = (...sections: readonly Section[]): Rendered => ({ sections });
const ofClients = (text: string): Section => section('ca-file', clients, text);
const ofServers = (text: string): Section => section('ca-file', servers, text);
const planned = (running: Rendered, desired: Rendered, version = '3.0.11'): readonly string[] => {
  const plan = planChange(running, desired, on(version));
  if (plan.kind === 'none') return [];
  return plan.kind === 'runtime'
    ? plan.commands.flatMap(say)
    : plan.reasons.map(({ code, detail = '' }) => `${code}: ${detail}`);
};

test('CA certificates of clients are replaced by commands from 2.5 on; those of servers, long ones and older versions wait for a reload', () => {
  const [old, now] = [state(frontend, ofClients('one\n')), state(frontend, ofClients('two\n'))];
  assert.deepEqual(planned(old, now), [`set ssl ca-file ${clients} <<\ntwo\n`, `commit ssl ca-file ${clients}`]);
  assert.deepEqual(planned(old, now, '2.4.0'), ['capability_missing: set ssl ca-file, on HAProxy 2.4.0']);
  assert.deepEqual(planned(old, state(frontend, ofClients('x\n'.repeat(6001)))), [
    'certificate_changed: it has 12002 bytes, more than the 12000 of a runtime command',
  ]);
  assert.deepEqual(planned(old, state(frontend, ofClients('one\n\nshutdown\n'))), [
    'certificate_changed: it cannot be said in a runtime command',
  ]);
  assert.deepEqual(planned(state(backend, ofServers('one\n')), state(backend, ofServers('two\n'))), [
    'certificate_changed: servers keep the CA certificates that they started with',
  ]);
});

test('a file that no line names costs nothing; one that a line still names stays until the reload', () => {
  const [running, gone] = [state(frontend, ofClients('one\n')), state(frontend)];
  assert.deepEqual(planned(state(frontend), state(frontend, ofServers('one\n'))), []);
  assert.deepEqual(planned(state(frontend, ofServers('one\n')), state(frontend, ofServers('two\n'))), []);
  assert.deepEqual(planned(state(frontend, ofServers('one\n')), state(frontend)), []);
  assert.deepEqual(planned(running, gone), ['certificate_changed: a line names it']);
  const plain = section('frontend', 'public', 'frontend public\n    bind :443 ssl crt x.pem\n');
  assert.deepEqual(planned(running, state(plain)), ['bind_changed: :443']);
  assert.equal(planMeanwhile(running, state(plain), on('3.0.11')), null, 'it stays as long as the line');
  // Backends of 3.4 that were removed while it runs leave the file in memory, for those that come later.
  const former = section('backend', 'web', 'backend web\n    default-server ssl verify required ca-file /run/ca\n');
  const plan = planChange(state(frontend), state(frontend, section('ca-file', '/run/ca', 'two\n')), {
    ...on('3.4.7'),
    started: [former],
  });
  assert.ok(plan.kind === 'runtime');
  assert.match(plan.commands.flatMap(say).join('\n'), /^set ssl ca-file \/run\/ca <<\ntwo$/m);
});

test('replies that are not known to be good are unexpected', () => {
  const set = { kind: 'ca-file', action: 'set', caFile: '/a', pem: 'x\n' } as const;
  const done = ['transaction created for CA /a!', 'Committing /a..\nSuccess!'];
  const none = [
    "Can't replace a CA file which is not referenced by the configuration!\nCan't update /a!",
    'No ongoing transaction! !',
  ];
  assert.equal(caFiles.classify(set, done).kind, 'done');
  assert.equal(caFiles.classify(set, none).kind, 'done');
  const refused = "The ongoing transaction is about '/b' but you are trying to set '/a'\nCan't update /a!";
  assert.deepEqual(caFiles.classify(set, [refused, done[1] ?? '']), {
    kind: 'unexpected',
    command: set,
    reply: refused,
  });
  assert.equal(caFiles.classify(set, [done[0] ?? '', 'Committing /a.\nUnable to load']).kind, 'unexpected');
  const learnt = caFiles.learn(on('3.0.11').capabilities, set, "Unknown command: 'set ssl ca-file'");
  assert.equal(learnt.caFiles, false);
});

test('what HAProxy shows of the CA certificates of clients is compared, whatever their order; those of servers are not asked for', async () => {
  const [a, b] = ['a', 'b'].map((name) =>
    selfSignedPem(new Date(), { names: [name] }).replace(/-----BEGIN PRIVATE.*/s, ''),
  );
  const desired = state(frontend, backend, ofClients(`${a}${b}`), ofServers(a ?? ''));
  assert.deepEqual([...caFiles.parts(desired).keys()], [`ca-file ${clients}`]);
  const { X509Certificate } = await import('node:crypto');
  const shown = (...pems: readonly (string | undefined)[]): string =>
    pems
      .map(
        (pem = '') => `Certificate #1:\nSHA1 FingerPrint: ${new X509Certificate(pem).fingerprint.replaceAll(':', '')}`,
      )
      .join('\n \n');
  const findings = async (reply: string) => {
    const info = 'Version: 3.0.11\nPid: 7\nUptime_sec: 1\n';
    const ask = async (line: string): Promise<string> =>
      line
        .split(';')
        .filter((command) => command !== 'show cli level')
        .map((command) => `${command === 'show info' ? info : `Filename: x\nStatus: Used\n \n${reply}`}\n\nadmin\n\n`)
        .join('');
    const of = { running: desired, capabilities: on('3.0.11').capabilities };
    const { seen } = await caFiles.observe(ask, [...caFiles.parts(desired).keys()], of);
    return caFiles.drift(desired, seen, { leaving: [], unsettled: new Set() });
  };
  assert.deepEqual((await findings(shown(b, a))).findings, []);
  const { findings: found, running } = await findings(shown(b));
  assert.deepEqual(
    found.map(({ what, identity }) => [what, identity]),
    [['content', clients]],
  );
  assert.match(planned(running, desired).join('\n'), /^set ssl ca-file/);
});
