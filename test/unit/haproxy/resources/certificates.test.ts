/** Certificates and lists of them: planned, said, classified, read back. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { test } from 'node:test';
import { selfSignedPem } from '../../../../src/certificates/self-signed.ts';
import { certificateFile, certificateName, clientCaFile } from '../../../../src/config/paths.ts';
import type { Config } from '../../../../src/config/schema.ts';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { parseVersion } from '../../../../src/haproxy/binary/version.ts';
import { canBeNamed } from '../../../../src/haproxy/resources/certificates/commands.ts';
import { shownOf } from '../../../../src/haproxy/resources/certificates/entries.ts';
import { certificates, crtLists } from '../../../../src/haproxy/resources/certificates/index.ts';
import { say } from '../../../../src/haproxy/resources/index.ts';
import type { Rendered, Section } from '../../../../src/model.ts';
import { planChange, planMeanwhile } from '../../../../src/plan/plan.ts';

const process = {
  capabilities: capabilitiesOf(parseVersion('3.0.11') ?? assert.fail()),
  leaving: [],
  started: null,
};
const frontend: Section = { kind: 'frontend', name: 'public', text: 'frontend public\n', service: null };
const list = '/run/certs/public.crt-list';
const pemFor = (): string => selfSignedPem(new Date());
const fileOf = (name: string): string => `/run/certs/public+${name}.pem`;

/** Certificates by name; the first is the default. */
function state(pems: Readonly<Record<string, string>>, ...more: readonly Section[]): Rendered {
  const files = Object.entries(pems).map(
    ([name, text]): Section => ({ kind: 'certificate', name: fileOf(name), text, service: null }),
  );
  const text = files.map(({ name }) => `${name}\n`).join('');
  return { sections: [frontend, ...more, ...files, { kind: 'crt-list', name: list, text, service: null }] };
}

const linesOf = (running: Rendered, desired: Rendered): readonly string[] => {
  const plan = planChange(running, desired, process);
  assert.ok(plan.kind === 'runtime', JSON.stringify(plan));
  return plan.commands.flatMap(say).map((line) => line.split('\n')[0] ?? '');
};
const reasonsOf = (running: Rendered, desired: Rendered, on = process): readonly string[] => {
  const plan = planChange(running, desired, on);
  return plan.kind === 'reload' ? plan.reasons.map(({ code, detail }) => `${code}: ${detail}`) : [];
};

test('a renewed certificate is replaced, also the default; one that comes is listed, one that goes is unlisted first', () => {
  const [a, b] = ['one\n', 'two\n'];
  assert.deepEqual(linesOf(state({ a, b }), state({ a: b, b })), [
    `set ssl cert ${fileOf('a')} <<`,
    `commit ssl cert ${fileOf('a')}`,
  ]);
  assert.deepEqual(linesOf(state({ a }), state({ a, b })).toSorted(), [
    `add ssl crt-list ${list} ${fileOf('b')}`,
    `commit ssl cert ${fileOf('b')}`,
    `new ssl cert ${fileOf('b')}`,
    `set ssl cert ${fileOf('b')} <<`,
  ]);
  assert.deepEqual(linesOf(state({ a, b }), state({ a })).toSorted(), [
    `del ssl cert ${fileOf('b')}`,
    `del ssl crt-list ${list} ${fileOf('b')}`,
  ]);
  const about = { kind: 'certificate', certificate: fileOf('b') } as const;
  const entry = { kind: 'crt-list', list, certificate: fileOf('b') } as const;
  const ranks = [
    ...certificates.ranks([{ ...about, action: 'set', pem: a }]),
    ...crtLists.ranks([
      { ...entry, action: 'add' },
      { ...entry, action: 'delete' },
    ]),
    ...certificates.ranks([{ ...about, action: 'delete' }]),
  ];
  assert.deepEqual(
    ranks,
    ranks.toSorted((one, other) => one - other),
    'in this order',
  );
  assert.deepEqual(crtLists.needs({ ...entry, action: 'add' }), [certificates.owner({ ...about, action: 'delete' })]);
});

test('another default is a reload that names it; what else differs does not wait for it', () => {
  const [a, b, c] = ['one\n', 'two\n', 'three\n'];
  const [running, desired] = [state({ a, b }), state({ b, c })];
  assert.deepEqual(reasonsOf(running, desired), [
    `certificate_changed: the default becomes ${fileOf('b')}`,
    'certificate_changed: it is the default',
  ]);
  const meanwhile = planMeanwhile(running, desired, process);
  assert.deepEqual(
    meanwhile?.commands.map(({ kind, action }) => `${kind} ${action}`),
    ['certificate add', 'crt-list add'],
  );
  const at = (kind: string): readonly string[] =>
    meanwhile?.desired.sections
      .filter((section) => section.kind === kind)
      .map(({ name, text }) => `${name}: ${text}`) ?? [];
  assert.deepEqual(at('crt-list'), [`${list}: ${fileOf('a')}\n${fileOf('b')}\n${fileOf('c')}\n`]);
  assert.equal(at('certificate').length, 3);
  assert.equal(planMeanwhile(meanwhile?.desired ?? running, desired, process), null, 'the rest waits');
});

test('a certificate of a frontend that comes or goes, or that is too long, waits for the reload', () => {
  const [a, b] = ['one\n', 'two\n'];
  const none: Rendered = { sections: [] };
  assert.equal(planMeanwhile(none, state({ a }), process), null);
  assert.equal(planMeanwhile(state({ a, b }), none, process), null);
  const long = 'x\n'.repeat(6001);
  assert.deepEqual(reasonsOf(state({ a }), state({ a: long })), [
    'certificate_changed: it has 12002 bytes, more than the 12000 of a runtime command',
  ]);
  const meanwhile = planMeanwhile(state({ a }), state({ a: b, b: long }), process);
  assert.deepEqual(
    meanwhile?.commands.map(({ kind, action }) => `${kind} ${action}`),
    ['certificate set'],
    'its entry waits for it',
  );
  assert.deepEqual(reasonsOf(state({ a }), state({ a: 'one\n\nshutdown\n' })), [
    'certificate_changed: it cannot be said in a runtime command',
  ]);
  const reply = certificates.learn(
    process.capabilities,
    { kind: 'certificate', action: 'set', certificate: 'a', pem: a },
    "Unknown command: 'set ssl'",
  );
  assert.deepEqual(reasonsOf(state({ a }), state({ a: b }), { ...process, capabilities: reply }), [
    'capability_missing: set ssl cert, on HAProxy 3.0.11',
  ]);
});

test('a list with options is left to the reload', () => {
  const listed = (text: string): Rendered => ({
    sections: [frontend, { kind: 'crt-list', name: list, text, service: null }],
  });
  assert.equal(planChange(listed('/a.pem\n'), listed('/a.pem\n/b.pem [alpn h2] b.test\n'), process).kind, 'reload');
});

test('replies that are not known to be good are unexpected', () => {
  const set = { kind: 'certificate', action: 'set', certificate: '/a.pem', pem: 'x\n' } as const;
  const gone = { kind: 'certificate', action: 'delete', certificate: '/a.pem' } as const;
  const listed = { kind: 'crt-list', action: 'add', list, certificate: '/a.pem' } as const;
  const good = ['Transaction created for certificate /a.pem!', 'Committing /a.pem..\nSuccess!'];
  assert.equal(certificates.classify(set, good).kind, 'done');
  const refused = [
    "unable to load certificate\nCan't load the payload\nCan't update /a.pem!",
    "No ongoing transaction! !\nCan't commit /a.pem!",
  ];
  assert.deepEqual(certificates.classify(set, refused), { kind: 'unexpected', command: set, reply: refused[0] });
  assert.equal(certificates.classify(set, good.slice(0, 1)).kind, 'unexpected');
  assert.equal(certificates.classify(gone, ["Certificate '/a.pem' deleted!"]).kind, 'done');
  assert.equal(
    certificates.classify(gone, ["Can't remove the certificate: certificate '/a.pem' in use, can't be deleted!"]).kind,
    'pinned',
  );
  assert.equal(crtLists.classify(listed, ["Inserting certificate '/a.pem' in crt-list 'l'.\nSuccess!"]).kind, 'done');
  assert.equal(
    crtLists.classify(listed, ["Can't edit the crt-list: certificate '/a.pem' is empty!"]).kind,
    'unexpected',
  );
  assert.equal(
    crtLists.classify({ ...listed, action: 'delete' }, [
      "Can't delete the entry: certificate '/a.pem' can't be found in crt-list 'l'!",
    ]).kind,
    'done',
  );
});

test('what HAProxy shows of certificates and lists is compared, and the plan from it puts right what differs', async () => {
  const [a, b] = [pemFor(), pemFor()];
  const desired = state({ a, b, c: pemFor() });
  const shown: Readonly<Record<string, string>> = {
    [`show ssl cert ${fileOf('a')}`]: `Filename: x\nStatus: Used\nSHA1 FingerPrint: ${shownOf({ ...frontend, text: b }).fingerprint}`,
    [`show ssl cert ${fileOf('b')}`]: "Can't display the certificate: Not found or the certificate is a bundle!",
    [`show ssl cert ${fileOf('c')}`]: `SHA1 FingerPrint: ${shownOf(desired.sections[3] ?? assert.fail()).fingerprint}`,
    [`show ssl crt-list -n ${list}`]: `# ${list}\n${fileOf('a')}:1\n${fileOf('c')}:3\n${fileOf('c')}:4\n/by/hand.pem:5`,
  };
  const info = 'Version: 3.0.11\nPid: 7\nUptime_sec: 1\n';
  const ask = async (line: string): Promise<string> => {
    const commands = line.split(';').filter((command) => command !== 'show cli level');
    return commands.map((command) => `${command === 'show info' ? info : shown[command]}\n\nadmin\n\n`).join('');
  };
  const of = { running: desired, capabilities: process.capabilities };
  const none = { leaving: [], unsettled: new Set<string>() };
  const its = await certificates.observe(ask, [...certificates.parts(desired).keys()], of);
  const first = certificates.drift(desired, its.seen, none);
  assert.deepEqual(
    first.findings.map(({ what, identity }) => [what, identity]),
    [
      ['content', fileOf('a')],
      ['missing', fileOf('b')],
    ],
  );
  const lists = await crtLists.observe(ask, [...crtLists.parts(desired).keys()], of);
  const second = crtLists.drift(first.running, lists.seen, none);
  assert.deepEqual(
    second.findings.map(({ what }) => what.replace('/run/certs/public+', '')),
    ['missing of b.pem', 'duplicate of c.pem', 'extra of /by/hand.pem'],
  );
  assert.deepEqual(linesOf(second.running, desired).toSorted(), [
    `add ssl crt-list ${list} ${fileOf('b')}`,
    `commit ssl cert ${fileOf('a')}`,
    `commit ssl cert ${fileOf('b')}`,
    `del ssl crt-list ${list} /by/hand.pem`,
    `del ssl crt-list ${list} ${fileOf('c')}:4`,
    `new ssl cert ${fileOf('b')}`,
    `set ssl cert ${fileOf('a')} <<`,
    `set ssl cert ${fileOf('b')} <<`,
  ]);
});

test('commands can name the files of every shared frontend, whatever its name', () => {
  const config = { haproxy: { config: '/run/haproxy.cfg' } } as Pick<Config, 'haproxy'>;
  for (const name of ['public', 'team:public', 'a.b-c_d:']) {
    const file = certificateFile(config, name, 'site');
    assert.ok(canBeNamed(file) && canBeNamed(clientCaFile(config, name)), file);
    assert.equal(certificateName(name, basename(file)), 'site');
  }
});
