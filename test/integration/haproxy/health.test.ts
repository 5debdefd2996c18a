/** What HAProxy says of its servers, as it says it itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { type BackendHealth, readHealth } from '../../../src/haproxy/cli/stats.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { configOfWeb, startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder, until } from '../../support/index.ts';

for (const branch of branches)
  test(`HAProxy ${branch}: health tells servers that are up, down and why, draining, and in maintenance`, async () => {
    await using folder = await tempFolder();
    const web = http.createServer((_, response) => response.writeHead(500).end()).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const address = `127.0.0.1:${(web.address() as AddressInfo).port}`;
    const config = configOfWeb(folder.path, [
      'option httpchk GET /health',
      `server unchecked ${address}`,
      `server failing ${address} check inter 1s fall 1`,
      'server nobody 127.0.0.1:1 check inter 100ms fall 1',
      `server drained ${address} weight 0`,
      `server taken-out ${address} disabled`,
    ]);
    try {
      await using child = await startHaproxy(await haproxy(branch), folder.path, config);
      const read = async (): Promise<BackendHealth | undefined> =>
        (await readHealth((line) => ask(child.socket, [line]), ['web', 'absent'])).health.get('web');
      const health = await until('both checks have failed', async () => {
        const found = await read();
        return found?.servers.filter(({ condition }) => condition === 'down').length === 2 ? found : null;
      });
      const its = health.servers.map(({ name, condition, check }) => [name, condition, check?.code ?? null]);
      assert.deepEqual(its, [
        ['unchecked', 'up', null],
        ['failing', 'down', 'L7STS'],
        ['nobody', 'down', 'L4CON'],
        ['drained', 'draining', null],
        ['taken-out', 'maint', null],
      ]);
      assert.equal(health.isDown, false);
      assert.match(
        health.servers[2]?.check?.words ?? '',
        /^Layer4 connection problem: .*(?:Connection refused|ECONNREFUSED)/,
      );
      assert.equal(health.servers[0]?.address, address);
      await ask(child.socket, ['set server web/unchecked state maint']);
      assert.equal((await read())?.isDown, true, 'only servers without weight are left');
    } finally {
      web.close();
      web.closeAllConnections();
    }
  });
