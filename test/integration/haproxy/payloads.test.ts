/** Texts of several lines over the command line of a real HAProxy, and over that of its master. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { frame, unframe } from '../../../src/haproxy/cli/framing.ts';
import { HeldConnection } from '../../../src/haproxy/cli/held-connection.ts';
import { maxPayloadBytes } from '../../../src/haproxy/cli/line-limit.ts';
import { askingMaster, prefixOf } from '../../../src/haproxy/cli/master.ts';
import { withPayload } from '../../../src/haproxy/cli/payload.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { pemFor, serialOf, shownSerial } from '../../support/certificates.ts';
import { startMaster } from '../../support/haproxy/master.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { freePort, tempFolder } from '../../support/index.ts';

for (const branch of branches) {
  test(`HAProxy ${branch} takes a text of the longest size between other commands, each of which has its reply`, async () => {
    await using folder = await tempFolder();
    const [pem, port] = [join(folder.path, 'a.pem'), await freePort()];
    await writeFile(pem, pemFor('a.test'));
    const file = join(folder.path, 'haproxy.cfg');
    const bind = `    bind 127.0.0.1:${port} ssl crt ${pem}\n`;
    await writeFile(file, configOfWeb(folder.path, []).replace(/(?<=frontend in\n)/, bind));
    await using master = await startMaster(await haproxy(branch), folder.path, file);
    const pid = await master.worker();
    const held = new HeldConnection(join(folder.path, 'admin.sock'));
    const ways = [
      { ask: held.ask, prefix: '' },
      { ask: askingMaster(master.socket), prefix: prefixOf(pid) },
    ];
    for (const { ask, prefix } of ways)
      for (const bytes of [0, maxPayloadBytes([])]) {
        const fresh = pemFor('a.test');
        const [renewed, serial] = [padded(fresh, bytes), serialOf(fresh)];
        const commands = [withPayload(`set ssl cert ${pem}`, renewed), `commit ssl cert ${pem}`, 'nonsense'];
        const { from, replies } = unframe(await ask(frame(commands, { prefix })));
        assert.equal(from?.pid, pid);
        assert.deepEqual(replies.slice(0, 2), [
          `Transaction created for certificate ${pem}!`,
          `Committing ${pem}.\nSuccess!`,
        ]);
        assert.match(replies[2] ?? '', /^Unknown command/);
        assert.equal(replies.length, 3);
        assert.equal(await shownSerial(port, 'a.test'), serial);
        const garbage = [withPayload(`set ssl cert ${pem}`, 'garbage\n'), `commit ssl cert ${pem}`];
        const refused = unframe(await ask(frame(garbage, { prefix })));
        assert.equal(refused.from?.pid, pid);
        assert.equal(refused.replies.length, 2);
        assert.match(refused.replies[0] ?? '', /Can't update/);
        assert.match(refused.replies[1] ?? '', /No ongoing transaction/);
      }
    held.close();
  });

  test(`HAProxy ${branch} takes a text of the longest size whole, wherever its lines end`, async () => {
    await using folder = await tempFolder();
    const map = join(folder.path, 'a.map');
    await writeFile(map, '');
    const uses = `    use_backend %[path,map_beg(${map},web)]\n`;
    const config = configOfWeb(folder.path, []).replace(/(?<=frontend in\n)/, uses);
    await using process = await startHaproxy(await haproxy(branch), folder.path, config);
    const held = new HeldConnection(process.socket);
    const line = 'host.example.com/ web\n';
    for (let shift = 1; shift <= line.length; shift++) {
      const first = `${'x'.repeat(shift)} web\n`;
      const rest = line.repeat(Math.floor((maxPayloadBytes([]) - first.length) / line.length));
      const commands = [`clear map ${map}`, withPayload(`add map ${map}`, first + rest), `show map ${map}`];
      const { replies } = unframe(await held.ask(frame(commands)));
      assert.deepEqual(replies.slice(0, 2), ['', '']);
      assert.equal(replies[2]?.replace(/^0x\S+ /gm, ''), `${first}${rest}`.trimEnd());
    }
    held.close();
  });
}

/** With as many more certificates behind the first as fit: HAProxy does not look whether they issued it. */
function padded(pem: string, bytes: number): string {
  const at = pem.indexOf('-----BEGIN PRIVATE');
  const [leaf, key] = [pem.slice(0, at), pem.slice(at)];
  const count = Math.max(0, Math.floor((bytes - pem.length) / leaf.length));
  return leaf + leaf.repeat(count) + key;
}
