/** Services with an address of their own that go while HAProxy runs, and frontends that somebody has disabled. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import type { Rendered } from '../../../src/model.ts';
import { startBackends, startNodeBackend } from '../../servers/backend.ts';
import { branches, type HaproxyBranch } from '../../servers/haproxy.ts';
import { pidOf, rendered as renderedFor, type Setup, setup, type Web } from '../../support/haproxy/apply.ts';
import { reconciling } from '../../support/haproxy/reconciling.ts';
import { freePort, until } from '../../support/index.ts';

async function opened(my: Setup, branch: HaproxyBranch) {
  const its = await reconciling(my, branch);
  const cli = (line: string) => ask(its.control.running?.process?.socket ?? assert.fail('nothing runs'), [line]);
  return {
    ...its,
    cli,
    /** The servers of a backend, with those out of service. */
    serversOf: async (backend: string) =>
      (await cli(`show stat ${backend} 4 -1`)).split('\n').filter((line) => line.startsWith(`${backend},`)),
  };
}

async function get(port: number, agent?: Agent): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request({ port, host: '127.0.0.1', agent: agent ?? false }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.on('end', () => resolve(response.statusCode === 200 ? text.trim() : String(response.statusCode)));
  })
    .on('error', reject)
    .end();
  return promise;
}

const refused = { code: 'ECONNREFUSED' };

async function listening(port: number): Promise<Server> {
  const server = createServer((connection) => connection.end('HTTP/1.0 200 OK\r\n\r\nsomebody else'));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen({ port, host: '127.0.0.1', exclusive: true }, resolve);
  await promise;
  return server;
}

for (const branch of branches) {
  const rendered = (my: Setup, services: readonly Web[]): Rendered => {
    const { sections } = renderedFor(my, services);
    // HAProxy 2.2 does not know it, and does not need it.
    const known = (text: string): string => text.replace('    option idle-close-on-response\n', '');
    return { sections: branch === '2.2' ? sections.map((each) => ({ ...each, text: known(each.text) })) : sections };
  };

  test(`HAProxy ${branch}: a service with an address of its own goes without a reload; its connections finish, and its address is free`, async () => {
    await using servers = await startBackends(['one']);
    const held = Promise.withResolvers<string>();
    await using slow = await startNodeBackend('slow', { answer: (path) => (path === '/' ? 'slow' : held.promise) });
    await using my = await setup();
    const [a, b] = [await freePort(), await freePort()];
    const at = ({ address, port }: { address: string; port: number }) => [`server s ${address}:${port} weight 1`];
    const one = { name: 'one', bind: `127.0.0.1:${a}`, servers: at(servers.one) };
    const both = rendered(my, [one, { name: 'slow', bind: `127.0.0.1:${b}`, servers: at(slow) }]);
    const { control, reconcile, cli, serversOf, updater, drift } = await opened(my, branch);
    await reconcile(both);
    const pid = pidOf(control);
    using agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 1 }), {
      [Symbol.dispose]: () => agent.destroy(),
    });
    assert.equal(await get(b, agent), 'slow');
    const underWay = new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(b, '127.0.0.1')
        .on('error', reject)
        .on('close', () => resolve(text));
      socket.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      socket.write('GET /later HTTP/1.1\r\nhost: slow\r\n\r\n');
    });
    await until('the request is under way', async () => /^slow,s,\d+,\d+,1,/m.test(await cli('show stat slow 4 -1')));

    const went = await reconcile(rendered(my, [one]));
    assert.equal(went.kind, 'runtime', JSON.stringify(went));
    await assert.rejects(get(b), refused);
    const other = await listening(b);
    other.close();
    // The connection that it had is answered once more, and told to close; so is the request under way.
    assert.equal(await get(b, agent), 'slow');
    await assert.rejects(get(b, agent), refused);
    assert.equal((await serversOf('slow')).length, 1, 'in service while a request is under way');
    held.resolve('later');
    assert.match(await underWay, /^HTTP\/1.1 200 .*connection: close.*later$/is);
    assert.equal(await get(a), 'one');
    assert.equal(pidOf(control), pid);
    await until('the file follows', async () => !(await readFile(my.file, 'utf8')).includes('slow'));
    await updater.verify();
    assert.deepEqual(drift, []);
    if (branch !== '2.2')
      await until('its servers leave', async () => (await serversOf('slow')).every((line) => line.includes('MAINT')));
    const result = await reconcile(both);
    assert.equal(result.kind, 'reload', 'it comes back by a reload');
    assert.deepEqual([await get(a), await get(b)], ['one', 'slow']);
    assert.deepEqual(drift, []);
  });

  test(`HAProxy ${branch}: where another service takes the address, it is never closed, also while the reload waits`, async () => {
    await using my = await setup();
    const [a, b] = [await freePort(), await freePort()];
    const one = { name: 'one', bind: `127.0.0.1:${a}` };
    const { control, reconcile } = await opened(my, branch);
    await reconcile(
      rendered(my, [
        one,
        { name: 'two', bind: `127.0.0.1:${b}` },
        { name: 'gone', bind: `127.0.0.1:${await freePort()}` },
      ]),
    );
    const answers = new Set<string>();
    const over = new AbortController();
    const watching = (async () => {
      while (!over.signal.aborted) answers.add(await get(b).catch(String));
    })();
    const desired = rendered(my, [one, { name: 'three', bind: `127.0.0.1:${b}` }]);
    const runtime = control.runtime ?? assert.fail();
    assert.equal((await reconcile(desired)).kind, 'reload');
    await until('the other answers', async () => (await get(b)) === 'three');
    over.abort();
    await watching;
    assert.deepEqual([...answers].sort(), ['three', 'two']);
    assert.ok(
      runtime.running.sections.some(({ name }) => name === 'two:in'),
      'not by commands',
    );
    assert.ok(!runtime.running.sections.some(({ name }) => name === 'gone:in'), 'while this did not wait');
  });

  test(`HAProxy ${branch}: a Myelin that is killed while a service goes leaves nothing behind, whether it is wanted again or not`, async () => {
    await using my = await setup();
    const [a, b] = [await freePort(), await freePort()];
    const without = rendered(my, [{ name: 'one', bind: `127.0.0.1:${a}` }]);
    const both = rendered(my, [
      { name: 'one', bind: `127.0.0.1:${a}` },
      { name: 'two', bind: `127.0.0.1:${b}` },
    ]);
    const lines = ['disable frontend two:in', 'shutdown frontend two:in'];
    for (const [sent, desired] of [1, 2].flatMap((count) => [without, both].map((which) => [count, which] as const))) {
      const first = await opened(my, branch);
      await first.updater.verifyFound();
      await first.reconcile(both);
      assert.equal(await get(b), 'two');
      await first.cli(lines.slice(0, sent).join(';'));
      await first.control[Symbol.asyncDispose]();

      const next = await opened(my, branch);
      const pid = pidOf(next.control);
      await next.updater.verifyFound();
      const result = await next.reconcile(desired);
      if (desired === both) {
        assert.equal(await get(b), 'two', JSON.stringify([sent, result]));
        assert.equal(
          pidOf(next.control) === pid,
          sent === 1,
          'what is disabled is enabled, what is shut down is reloaded',
        );
      } else {
        assert.equal(result.kind, 'runtime', JSON.stringify([sent, result]));
        await assert.rejects(get(b), refused);
        assert.equal(pidOf(next.control), pid);
      }
      assert.equal(await get(a), 'one');
      await until('nothing more is to be done', async () => {
        await next.updater.verify();
        return (await next.reconcile(desired)).kind === 'noop';
      });
      await next.control[Symbol.asyncDispose]();
    }
  });

  test(`HAProxy ${branch}: a frontend that somebody disables listens again without a reload, one that is shut down by a reload`, async () => {
    await using my = await setup();
    const [a, b] = [await freePort(), await freePort()];
    const map = `${my.file}.maps/public.map`;
    const plain = rendered(my, [{ name: 'one', bind: `127.0.0.1:${a}` }]);
    const shared = `frontend public\n    bind 127.0.0.1:${b}\n    use_backend %[path,map_beg(${map},one)]\n`;
    const desired: Rendered = {
      sections: [
        ...plain.sections,
        { kind: 'frontend', name: 'public', text: shared, service: null },
        { kind: 'map', name: map, text: '/one/ one\n', service: null },
      ],
    };
    const { control, reconcile, cli, updater, drift } = await opened(my, branch);
    await reconcile(desired);
    const pid = pidOf(control);
    const repaired = (port: number) =>
      until(`${port} answers`, async () => {
        if (await updater.verify()) await reconcile(desired);
        return (await get(port).catch(String)) === 'one';
      });
    for (const [frontend, port] of [
      ['one:in', a],
      ['public', b],
    ] as const) {
      drift.length = 0;
      await cli(`disable frontend ${frontend}`);
      await assert.rejects(get(port), refused);
      await repaired(port);
      assert.deepEqual(drift, [{ frontend, kind: 'disabled', detail: '' }]);
    }
    assert.equal(pidOf(control), pid);
    await cli('disable frontend one:in; shutdown frontend one:in');
    await repaired(a);
    assert.notEqual(pidOf(control), pid);
  });
}
