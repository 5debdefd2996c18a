/** CA certificates of the real HAProxy: those of clients change while it runs, under load; those of servers by a reload. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { test } from 'node:test';
import { frame, unframe } from '../../../src/haproxy/cli/framing.ts';
import { HeldConnection } from '../../../src/haproxy/cli/held-connection.ts';
import { withPayload } from '../../../src/haproxy/cli/payload.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered, Section } from '../../../src/model.ts';
import { branches } from '../../servers/haproxy.ts';
import { answerTo, parted, pemFor } from '../../support/certificates.ts';
import { pidOf, rendered, type Setup, setup } from '../../support/haproxy/apply.ts';
import { reconciling } from '../../support/haproxy/reconciling.ts';
import { freePort, until } from '../../support/index.ts';
import { tlsLoad } from '../../support/load/tls-load.ts';

const caOf = (...pems: readonly string[]): string => pems.map((pem) => parted(pem).cert).join('');
const own = pemFor('own.test');

/** A frontend that asks for certificates of these CAs, and a backend that asks its server for one of those. */
function state(
  my: Setup,
  port: number,
  clients: string,
  servers?: { readonly port: number; readonly ca: string },
): Rendered {
  const at = (name: string): string => `${my.file}.certs/${name}`;
  const file = (kind: string, name: string, text: string): Section => ({ kind, name: at(name), text, service: null });
  const lines = [
    'frontend public',
    `    bind 127.0.0.1:${port} ssl crt ${at('own.pem')} ca-file ${at('public.ca-file')} verify required`,
    servers === undefined ? '    http-request return status 200' : '    default_backend web',
    ...(servers === undefined
      ? []
      : [
          'backend web',
          `    default-server ssl verify required ca-file ${at('servers+x.ca-file')} sni str(b.test) check-sni b.test check inter 100ms fall 1 rise 1`,
          `    server one 127.0.0.1:${servers.port}`,
        ]),
    '',
  ];
  const { sections } = rendered(my, []);
  return {
    sections: [
      // HAProxy 2.2 does not know the option.
      ...sections.map((section) => ({ ...section, text: section.text.replace(/^.*idle-close-on-response\n/m, '') })),
      ...splitSections(lines.join('\n')),
      file('certificate', 'own.pem', own),
      file('ca-file', 'public.ca-file', clients),
      ...(servers === undefined ? [] : [file('ca-file', 'servers+x.ca-file', servers.ca)]),
    ],
  };
}

for (const branch of branches) {
  const isByCommand = branch !== '2.2';
  const how = isByCommand ? 'in one process' : 'by reloads that say why';

  test(`clients of HAProxy ${branch} are let in by the CA certificates of now, which are replaced under load, ${how}`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, reconcile } = await reconciling(my, branch);
    const [a, b] = [pemFor('a'), pemFor('b')];
    assert.equal((await reconcile(state(my, port, caOf(a)))).kind, 'reload');
    const pid = pidOf(control);
    assert.deepEqual([await answerTo(port, a), typeof (await answerTo(port, b))], [200, 'string']);
    assert.equal(typeof (await answerTo(port, null)), 'string', 'nobody without a certificate');
    const load = tlsLoad({ port, ...parted(a) });
    const times = isByCommand ? 30 : 3;
    for (let time = 0; time < times; time++) {
      const next = time % 2 === 0 ? caOf(b, a) : caOf(a);
      const result = await reconcile(state(my, port, next));
      assert.equal(result.kind, isByCommand ? 'runtime' : 'reload', JSON.stringify(result));
      if (result.kind === 'reload')
        assert.match(JSON.stringify(result.reasons), /capability_missing.*set ssl ca-file, on HAProxy 2\.2/);
      assert.equal(typeof (await answerTo(port, b)), time % 2 === 0 ? 'number' : 'string');
    }
    const { done, failures } = await load.end();
    assert.ok(done > times, `${done} requests`);
    assert.deepEqual(failures, []);
    assert.equal(pidOf(control) === pid, isByCommand);
    await reconcile(state(my, port, caOf(b)));
    assert.deepEqual([typeof (await answerTo(port, a)), await answerTo(port, b)], ['string', 200]);
    const file = `${my.file}.certs/public.ca-file`;
    await until('the file follows', async () => (await readFile(file, 'utf8')) === caOf(b));
  });

  test(`CA certificates that somebody changes in HAProxy ${branch} by hand are set right`, {
    skip: !isByCommand,
  }, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, updater, drift, reconcile } = await reconciling(my, branch);
    const [a, b] = [pemFor('a'), pemFor('b')];
    const desired = state(my, port, caOf(a));
    await reconcile(desired);
    const held = new HeldConnection(control.running?.process?.socket ?? assert.fail('nothing runs'));
    const file = `${my.file}.certs/public.ca-file`;
    unframe(await held.ask(frame([withPayload(`set ssl ca-file ${file}`, caOf(b)), `commit ssl ca-file ${file}`])));
    held.close();
    assert.equal(await answerTo(port, b), 200);
    await until('it is as it was', async () => {
      if (await updater.verify()) await reconcile(desired);
      return (await answerTo(port, a)) === 200;
    });
    assert.equal(typeof (await answerTo(port, b)), 'string');
    assert.deepEqual([...new Set(drift.map(({ kind }) => kind))], ['content']);
    assert.equal(control.running?.generation, 1, 'without a reload');
  });

  test(`a server of HAProxy ${branch} whose certificate another CA issued is down; with the right CA, and a reload, it serves`, async () => {
    await using my = await setup();
    const port = await freePort();
    const [client, server, other] = [pemFor('a'), pemFor('b.test'), pemFor('b.test')];
    const answering = createServer(parted(server), (_, response) => void response.end('served')).listen(0, '127.0.0.1');
    try {
      await new Promise((fulfil) => answering.once('listening', fulfil));
      const address = answering.address();
      const at = address !== null && typeof address === 'object' ? address.port : assert.fail('it does not listen');
      const { reconcile } = await reconciling(my, branch);
      await reconcile(state(my, port, caOf(client), { port: at, ca: caOf(other) }));
      await until('it is down', async () => (await answerTo(port, client)) === 503);
      const result = await reconcile(state(my, port, caOf(client), { port: at, ca: caOf(server) }));
      assert.ok(result.kind === 'reload', JSON.stringify(result));
      assert.match(JSON.stringify(result.reasons), /certificate_changed.*servers keep the CA certificates/);
      await until('it serves', async () => (await answerTo(port, client)) === 200);
    } finally {
      answering.closeAllConnections();
      answering.close();
    }
  });
}
