/** Certificates of the real HAProxy come, change and go while it runs, under load, and what somebody does by hand is put right. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { frame, unframe } from '../../../src/haproxy/cli/framing.ts';
import { HeldConnection } from '../../../src/haproxy/cli/held-connection.ts';
import { withPayload } from '../../../src/haproxy/cli/payload.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered, Section } from '../../../src/model.ts';
import { branches } from '../../servers/haproxy.ts';
import { pemFor, serialOf, shownSerial } from '../../support/certificates.ts';
import { pidOf, rendered, type Setup, setup } from '../../support/haproxy/apply.ts';
import { reconciling } from '../../support/haproxy/reconciling.ts';
import { freePort, until } from '../../support/index.ts';
import { tlsLoad } from '../../support/load/tls-load.ts';

const fixtures = new URL('../../fixtures/certificates/', import.meta.url);

type Pems = Readonly<Record<string, string>>;

const fileOf = (my: Setup, name: string): string => `${my.file}.certs/public+${name}.pem`;
const listOf = (my: Setup): string => `${my.file}.certs/public.crt-list`;

/** A frontend with these certificates; the first is the default. */
function shared(my: Setup, port: number, pems: Pems): Rendered {
  const { sections } = rendered(my, []);
  const frontend = [
    'frontend public',
    `    bind 127.0.0.1:${port} ssl crt-list ${listOf(my)}`,
    '    http-request return status 200',
    '',
  ].join('\n');
  const files = Object.entries(pems).map(
    ([name, text]): Section => ({ kind: 'certificate', name: fileOf(my, name), text, service: null }),
  );
  const list = files.map(({ name }) => `${name}\n`).join('');
  return {
    sections: [
      // HAProxy 2.2 does not know the option.
      ...sections.map((section) => ({ ...section, text: section.text.replace(/^.*idle-close-on-response\n/m, '') })),
      ...splitSections(frontend),
      ...files,
      { kind: 'crt-list', name: listOf(my), text: list, service: null },
    ],
  };
}

for (const [at, branch] of branches.entries()) {
  const times = at === 0 ? 100 : 10;
  test(`a certificate of HAProxy ${branch} is renewed ${times} times under load in one process, and each is shown at once`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, reconcile } = await reconciling(my, branch);
    assert.equal((await reconcile(shared(my, port, { a: pemFor('a.test') }))).kind, 'reload');
    const pid = pidOf(control);
    const load = tlsLoad({ port, servername: 'a.test' });
    let last = '';
    for (let time = 0; time < times; time++) {
      last = pemFor('a.test');
      assert.equal((await reconcile(shared(my, port, { a: last }))).kind, 'runtime');
      assert.equal(await shownSerial(port, 'a.test'), serialOf(last));
    }
    const { done, failures } = await load.end();
    assert.ok(done > times, `${done} requests`);
    assert.deepEqual(failures, []);
    assert.equal(pidOf(control), pid);
    await until('the file follows', async () => (await readFile(fileOf(my, 'a'), 'utf8')) === last);
  });

  test(`certificates of HAProxy ${branch} come and go by their names in one process; another default is a reload`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, reconcile } = await reconciling(my, branch);
    const [a, b, c] = [pemFor('a.test'), pemFor('b.test'), pemFor('c.test')];
    await reconcile(shared(my, port, { a, c }));
    const pid = pidOf(control);
    const steps: readonly Pems[] = [{ a, b, c }, { a, b }, { a, b, c }, { a }, { a, b: pemFor('b.test') }];
    for (const pems of steps) {
      const result = await reconcile(shared(my, port, pems));
      assert.deepEqual([result.kind, pidOf(control)], ['runtime', pid], JSON.stringify(result));
      for (const name of ['b', 'c'])
        assert.equal(await shownSerial(port, `${name}.test`), serialOf(pems[name] ?? a), name);
    }
    const changed = await reconcile(shared(my, port, { b, a }));
    assert.ok(changed.kind === 'reload');
    assert.match(JSON.stringify(changed.reasons), /certificate_changed.*public\.crt-list.*the default becomes/);
    assert.equal(await shownSerial(port), serialOf(b));
  });

  test(`what somebody does by hand to certificates of HAProxy ${branch} is set right without a reload`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, updater, drift, reconcile } = await reconciling(my, branch);
    const [a, b, c] = [pemFor('a.test'), pemFor('b.test'), pemFor('c.test')];
    const desired = shared(my, port, { a, b, c });
    await reconcile(desired);
    const held = new HeldConnection(control.running?.process?.socket ?? assert.fail('nothing runs'));
    const [list, fileA, fileB, fileC] = [listOf(my), fileOf(my, 'a'), fileOf(my, 'b'), fileOf(my, 'c')];
    const byHand: readonly (readonly string[])[] = [
      [`del ssl crt-list ${list} ${fileB}`],
      [`del ssl crt-list ${list} ${fileC}`, `del ssl cert ${fileC}`],
      [withPayload(`set ssl cert ${fileA}`, pemFor('a.test')), `commit ssl cert ${fileA}`],
      [`add ssl crt-list ${list} ${fileB}`],
    ];
    for (const commands of byHand) {
      unframe(await held.ask(frame(commands)));
      await until('it is as it was', async () => {
        if (await updater.verify()) await reconcile(desired);
        const shown = await Promise.all(['a', 'b', 'c'].map((name) => shownSerial(port, `${name}.test`)));
        const [said = ''] = unframe(await held.ask(frame([`show ssl crt-list -n ${list}`]))).replies;
        return String(shown) === String([a, b, c].map(serialOf)) && said.split('\n').length === 4;
      });
    }
    held.close();
    assert.deepEqual([...new Set(drift.map(({ kind }) => kind))].sort(), ['content', 'duplicate', 'missing']);
    assert.equal(control.running?.generation, 1, 'without a reload');
  });

  test(`a chain that somebody takes from a certificate of HAProxy ${branch} by hand is put back; another key is not taken`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, updater, drift, reconcile } = await reconciling(my, branch);
    const [leaf, issuer, key] = await Promise.all(
      ['leaf.crt', 'inter.crt', 'leaf.key'].map((name) => readFile(new URL(name, fixtures), 'utf8')),
    );
    const desired = shared(my, port, { a: `${leaf}${issuer}${key}` });
    await reconcile(desired);
    const held = new HeldConnection(control.running?.process?.socket ?? assert.fail('nothing runs'));
    const file = fileOf(my, 'a');
    const shown = async (): Promise<string> =>
      unframe(await held.ask(frame([`show ssl cert ${file}`])))
        .replies[0]?.split('\n')
        .filter((line) => line.startsWith('Chain'))
        .join() ?? '';
    const set = async (pem: string): Promise<string> =>
      String(
        unframe(await held.ask(frame([withPayload(`set ssl cert ${file}`, pem), `commit ssl cert ${file}`]))).replies,
      );
    const isFound = async (): Promise<boolean> => {
      const had = drift.length;
      for (let time = 0; time < 3; time++) if (await updater.verify()) await reconcile(desired);
      return drift.length > had;
    };
    assert.match(await shown(), /^Chain Subject: \/CN=Intermediate/);
    assert.equal(await isFound(), false, 'what it was started with is what is desired');
    await set(`${leaf}${key}`);
    assert.equal(await shown(), '');
    await until('it is as it was', async () => {
      if (await updater.verify()) await reconcile(desired);
      return (await shown()) !== '';
    });
    assert.deepEqual([...new Set(drift.map(({ kind }) => kind))], ['content']);
    const other = pemFor('a.test');
    assert.doesNotMatch(await set(`${leaf}${other.slice(other.indexOf('-----BEGIN PRIVATE'))}`), /Success/);
    held.close();
    assert.equal(control.running?.generation, 1, 'without a reload');
  });
}
