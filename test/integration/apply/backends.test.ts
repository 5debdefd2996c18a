/** Backends of services that come and go in the real HAProxy 3.4, in one process, whatever happens in between. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { say } from '../../../src/haproxy/resources/index.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Plan, Rendered, Section } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { type Backend, startBackends, startNodeBackend } from '../../servers/backend.ts';
import { branches, type HaproxyBranch } from '../../servers/haproxy.ts';
import { pidOf, rendered, type Setup, setup } from '../../support/haproxy/apply.ts';
import { reconciling } from '../../support/haproxy/reconciling.ts';
import { freePort, until } from '../../support/index.ts';

const options = ['mode http', 'balance roundrobin', 'option httpchk GET /', 'default-server check inter 1s fall 3'];

type Wanted = { readonly at: Backend; readonly options?: readonly string[] };

/** A shared frontend that routes by path to backends, each with one server. */
function shared(my: Setup, port: number, services: Readonly<Record<string, Wanted>>): Rendered {
  const map = `${my.file}.maps/public.map`;
  const frontend = [
    'frontend public',
    `    bind 127.0.0.1:${port}`,
    `    use_backend %[path,concat(,,/),map_beg(${map},nobody)]`,
    '    default_backend nobody',
    'backend nobody',
    '    http-request return status 404',
    '',
  ].join('\n');
  const own = Object.entries(services).flatMap(([name, { at, options: its = options }]): readonly Section[] => {
    const lines = [...its, `server a ${at.address}:${at.port} weight 1`].map((line) => `    ${line}\n`);
    const sections = splitSections(`backend ${name}\n${lines.join('')}`, name);
    return sections.map((section) => ({ ...section, sharesOptions: true }));
  });
  const text = Object.keys(services).map((name) => `/${name}/ ${name}\n`);
  const entries: Section = { kind: 'map', name: map, text: text.join(''), service: null };
  return { sections: [...rendered(my, []).sections, ...splitSections(frontend), ...own, entries] };
}

async function get(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
  return response.status === 200 ? (await response.text()).trim() : String(response.status);
}

async function opened(my: Setup, branch: HaproxyBranch = '3.4') {
  const its = await reconciling(my, branch);
  const { control } = its;
  return {
    ...its,
    socket: () => control.running?.process?.socket ?? assert.fail('nothing runs'),
    has: async () => {
      const socket = control.running?.process?.socket ?? assert.fail('nothing runs');
      return (await ask(socket, ['show backend'])).split('\n').filter((line) => /^[a-z]/.test(line));
    },
  };
}

test('backends of services come, go and come back in one process of HAProxy 3.4, and the file follows', async () => {
  await using servers = await startBackends(['one', 'two']);
  const { one, two } = servers;
  await using my = await setup();
  const port = await freePort();
  const { control, reconcile, has } = await opened(my);
  assert.equal((await reconcile(shared(my, port, { one: { at: one } }))).kind, 'reload');
  const pid = pidOf(control);
  const both = shared(my, port, { one: { at: one }, two: { at: two } });
  const came = await reconcile(both);
  assert.equal(came.kind, 'runtime', JSON.stringify(came));
  assert.deepEqual([await get(port, '/one'), await get(port, '/two')], ['one', 'two']);
  await until('the file follows', async () => (await readFile(my.file, 'utf8')).includes('backend two from http-'));

  assert.equal((await reconcile(shared(my, port, { two: { at: two } }))).kind, 'runtime');
  assert.deepEqual([await get(port, '/one'), await get(port, '/two')], ['404', 'two']);
  assert.equal((await reconcile(both)).kind, 'runtime', 'it comes back while it leaves');
  assert.deepEqual([await get(port, '/one'), await get(port, '/two')], ['one', 'two']);

  assert.equal((await reconcile(shared(my, port, { one: { at: one } }))).kind, 'runtime');
  assert.equal(await get(port, '/two'), '404');
  await until('it is deleted', async () => !(await has()).includes('two'));
  assert.equal((await reconcile(both)).kind, 'runtime', 'it comes back once it is gone');
  assert.equal(await get(port, '/two'), 'two');
  assert.equal((await reconcile(shared(my, port, {}))).kind, 'runtime');
  await until('all are deleted, the one of the file too', async () => String(await has()) === 'nobody');
  assert.equal(pidOf(control), pid);
});

test('requests that a backend has when its service goes are answered, those that wait for a server too', async () => {
  await using servers = await startBackends(['one']);
  const held = Promise.withResolvers<string>();
  await using slow = await startNodeBackend('slow', { answer: () => held.promise });
  await using my = await setup();
  const port = await freePort();
  const { control, reconcile, has } = await opened(my);
  const its = [...options.filter((line) => !line.startsWith('option httpchk')), 'default-server maxconn 1'];
  const one = { at: servers.one, options: its };
  await reconcile(shared(my, port, { one }));
  const both = shared(my, port, { one, slow: { at: slow, options: its } });
  assert.equal((await reconcile(both)).kind, 'runtime');
  const answers = [get(port, '/slow/1'), get(port, '/slow/2'), get(port, '/slow/3')];
  const socket = control.running?.process?.socket ?? assert.fail('nothing runs');
  await until('two of them wait', async () => /^slow,BACKEND,2,/m.test(await ask(socket, ['show stat slow 2 -1'])));
  assert.equal((await reconcile(shared(my, port, { one }))).kind, 'runtime');
  assert.equal(await get(port, '/slow/4'), '404');
  held.resolve('slow');
  assert.deepEqual(await Promise.all(answers), ['slow', 'slow', 'slow']);
  await until('it is deleted', async () => !(await has()).includes('slow'));
});

for (const branch of new Set<HaproxyBranch>([...branches, '3.4']))
  test(`HAProxy ${branch} answers 404, then 200, then 404, and nothing else, where a service comes and goes by its route and its backend`, async () => {
    await using servers = await startBackends(['one', 'two']);
    const { one, two } = servers;
    await using my = await setup();
    const port = await freePort();
    const { reconcile } = await opened(my, branch);
    const without = shared(my, port, { one: { at: one } });
    await reconcile(without);
    const answers: string[] = [];
    let isOver = false;
    const watch = async (): Promise<void> => {
      while (!isOver) {
        const is = await get(port, '/two').catch(String);
        if (is !== answers.at(-1)) answers.push(is);
      }
    };
    const watching = watch();
    for (const [desired, expected] of [
      [shared(my, port, { one: { at: one }, two: { at: two } }), 'two'],
      [without, '404'],
    ] as const) {
      const isDone = async () => ['noop', 'runtime', 'reload'].includes((await reconcile(desired)).kind);
      await until(`it answers ${expected}`, async () => (await isDone()) && answers.at(-1) === expected);
    }
    isOver = true;
    await watching;
    // During a reload both processes accept, and each answers for itself.
    const isOneProcess = branch === '3.4';
    assert.deepEqual(isOneProcess ? answers : [...new Set(answers)], ['404', 'two', ...(isOneProcess ? ['404'] : [])]);
  });

test('a backend with options that HAProxy was not started with takes a reload, which says so', async () => {
  await using servers = await startBackends(['one', 'two']);
  const { one, two } = servers;
  await using my = await setup();
  const port = await freePort();
  const { reconcile } = await opened(my);
  await reconcile(shared(my, port, { one: { at: one } }));
  const other = [...options, 'retries 7'];
  const result = await reconcile(shared(my, port, { one: { at: one }, two: { at: two, options: other } }));
  assert.equal(result.kind, 'reload');
  const reasons = 'reasons' in result ? result.reasons : [];
  assert.ok(
    reasons.some(({ code, section }) => code === 'options_unproven' && section === 'backend two'),
    JSON.stringify(reasons),
  );
  assert.equal(await get(port, '/two'), 'two');
});

test('what somebody does by hand to a backend of HAProxy 3.4 is set right without a reload', async () => {
  await using servers = await startBackends(['one', 'two']);
  const { one, two } = servers;
  await using my = await setup();
  const port = await freePort();
  const { control, updater, drift, reconcile, socket } = await opened(my);
  const desired = shared(my, port, { one: { at: one }, two: { at: two } });
  await reconcile(desired);
  const repaired = (what: string) =>
    until(what, async () => {
      if (await updater.verify()) await reconcile(desired);
      return `${await get(port, '/one')} ${await get(port, '/two')}` === 'one two';
    });
  await ask(socket(), ['unpublish backend one']);
  assert.equal(await get(port, '/one'), '404');
  await repaired('it is published again');
  assert.deepEqual(drift, [{ backend: 'one', kind: 'unpublished', detail: '' }]);

  await ask(socket(), ['set server two/a state maint', 'unpublish backend two']);
  await ask(socket(), ['del server two/a']);
  assert.match(await ask(socket(), ['del backend two']), /Backend deleted/);
  await repaired('it is there again');
  assert.ok(drift.some((each) => 'backend' in each && each.backend === 'two' && each.kind === 'missing'));
  assert.equal(control.running?.generation, 1, 'without a reload');
});

/** Each first part of what is sent, by itself: Myelin was killed behind it. */
for (const what of ['comes', 'goes'] as const)
  test(`a Myelin that is killed between any two commands while a backend ${what} leaves nothing behind`, async () => {
    await using servers = await startBackends(['one', 'two']);
    const { one, two } = servers;
    await using my = await setup();
    const port = await freePort();
    const without = shared(my, port, { one: { at: one } });
    const both = shared(my, port, { one: { at: one }, two: { at: two } });
    const [before, after] = what === 'comes' ? [without, both] : [both, without];
    const lines = await (async () => {
      const first = await opened(my);
      await first.reconcile(both);
      await first.reconcile(before);
      const runtime = first.control.runtime ?? assert.fail('nothing runs');
      const plan: Plan = planChange(before, after, {
        capabilities: runtime.capabilities,
        started: runtime.started,
        leaving: [],
      });
      await first.control[Symbol.asyncDispose]();
      return plan.kind === 'runtime' ? plan.commands.flatMap(say) : assert.fail(JSON.stringify(plan));
    })();
    assert.ok(lines.length >= 2, lines.join('\n'));
    for (let sent = 1; sent <= lines.length; sent++) {
      const { control, updater, reconcile, has, socket } = await opened(my);
      await updater.verifyFound();
      await reconcile(before);
      await until('it is as before', async () => (await has()).includes('two') === (what === 'goes'));
      const there = socket();
      await control[Symbol.asyncDispose]();
      await ask(there, lines.slice(0, sent));

      const next = await opened(my);
      await next.updater.verifyFound();
      await until(`all is as desired after ${sent} of ${lines.length} commands`, async () => {
        await next.updater.verify();
        await next.reconcile(after);
        const answers = `${await get(port, '/one')} ${await get(port, '/two')}`;
        return answers === (what === 'comes' ? 'one two' : 'one 404');
      });
      const expected = what === 'comes' ? 'nobody,one,two' : 'nobody,one';
      await until('nothing is left', async () => String((await next.has()).sort()) === expected);
      await next.control[Symbol.asyncDispose]();
    }
  });
