/** Maps beside the config of the real HAProxy: what they hold is live, on disk and proved, whatever happens. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import { configFile } from '../../../src/lib/files/config-file.ts';
import type { Rendered, Section } from '../../../src/model.ts';
import { branches } from '../../servers/haproxy.ts';
import { applied, never, pidOf, reload, rendered, type Setup, setup } from '../../support/haproxy/apply.ts';
import { reconciling } from '../../support/haproxy/reconciling.ts';
import { freePort, until } from '../../support/index.ts';

/** The config of these tests has an option that HAProxy 2.2 does not know. */
const supported = branches.filter((branch) => branch !== '2.2');
const [current] = supported;

type Entries = Readonly<Record<string, string>>;

const mapOf = (my: Setup): string => `${my.file}.maps/public.map`;
const textOf = (entries: Entries): string =>
  Object.entries(entries)
    .map(([key, value]) => `${key} ${value}\n`)
    .join('');

/** A shared frontend that routes by path, and backends that answer with their names. */
function shared(my: Setup, port: number, entries: Entries, backends: readonly string[] = ['one', 'two']): Rendered {
  const { sections } = rendered(my, []);
  const frontend = [
    'frontend public',
    `    bind 127.0.0.1:${port}`,
    `    use_backend %[path,concat(,,/),map_beg(${mapOf(my)},none)]`,
    '    default_backend none',
    'backend none',
    '    http-request return status 200 content-type text/plain string none',
    '',
  ].join('\n');
  const own = (name: string): readonly Section[] =>
    splitSections(`backend ${name}\n    http-request return status 200 content-type text/plain string ${name}\n`, name);
  const map: Section = { kind: 'map', name: mapOf(my), text: textOf(entries), service: null };
  return { sections: [...sections, ...splitSections(frontend), ...backends.flatMap(own), map] };
}

async function get(port: number, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } });
  return (await response.text()).trim();
}

for (const branch of supported) {
  test(`routes of HAProxy ${branch} come, change and go in one process, and the map on disk follows`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, reconcile } = await reconciling(my, branch);
    assert.equal((await reconcile(shared(my, port, { '/a/': 'one' }))).kind, 'reload');
    const pid = pidOf(control);
    assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ one\n');
    assert.deepEqual([await get(port, '/a/x'), await get(port, '/b')], ['one', 'none']);

    const next = { '/a/': 'two', '/b/': 'one' };
    assert.equal((await reconcile(shared(my, port, next))).kind, 'runtime');
    assert.deepEqual([await get(port, '/a'), await get(port, '/b')], ['two', 'one']);
    assert.equal((await reconcile(shared(my, port, { '/b/': 'one' }))).kind, 'runtime');
    assert.deepEqual([await get(port, '/a'), await get(port, '/b')], ['none', 'one']);
    assert.equal(pidOf(control), pid);
    await until('the map follows', async () => (await readFile(mapOf(my), 'utf8')) === '/b/ one\n', { withinMs: 2000 });
  });

  test(`what somebody does by hand to a map of HAProxy ${branch} is set right`, async () => {
    await using my = await setup();
    const port = await freePort();
    const { control, updater, drift, reconcile } = await reconciling(my, branch);
    const desired = shared(my, port, { '/a/': 'one', '/b/': 'two', '/c/': 'two' });
    await reconcile(desired);
    const socket = control.running?.process?.socket ?? assert.fail('nothing runs');
    const map = mapOf(my);
    await ask(socket, [
      `del map ${map} /a/`,
      `add map ${map} /b/ one`,
      `set map ${map} /c/ one`,
      `add map ${map} /d/ one`,
    ]);
    const shown = async (): Promise<readonly string[]> =>
      (await ask(socket, [`show map ${map}`]))
        .split('\n')
        .filter((line) => line.startsWith('0x'))
        .map((line) => line.replace(/^\S+ /, ''))
        .sort();
    await until('it is as it was', async () => {
      if (await updater.verify()) await reconcile(desired);
      return String(await shown()) === '/a/ one,/b/ two,/c/ two';
    });
    assert.deepEqual([...new Set(drift.map(({ kind }) => kind))].sort(), ['duplicate', 'extra', 'missing', 'value']);
    assert.equal(control.running?.generation, 1, 'without a reload');
  });
}

test('a candidate that HAProxy refuses, or that is only asked about, leaves the maps as they were', async () => {
  await using my = await setup();
  const port = await freePort();
  const { control } = await reconciling(my, current);
  applied(await control.apply(shared(my, port, { '/a/': 'one' }), reload, never));
  const next = shared(my, port, { '/a/': 'two', '/b/': 'two' });
  assert.deepEqual(await control.check(next, never), []);
  assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ one\n');

  const broken = { sections: [...next.sections, ...splitSections('backend broken\n    no such line\n')] };
  assert.equal((await control.apply(broken, reload, never)).kind, 'refused');
  assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ one\n');
  assert.deepEqual(await readdir(`${my.file}.maps`), ['public.map']);
  assert.equal(await get(port, '/a'), 'one');
});

test('a map that nothing names any more is removed once the reload has gone well', async () => {
  await using my = await setup();
  const port = await freePort();
  const { control } = await reconciling(my, current);
  applied(await control.apply(shared(my, port, { '/a/': 'one' }), reload, never));
  applied(await control.apply(rendered(my, [{ bind: `127.0.0.1:${port}` }]), reload, never));
  assert.deepEqual(await readdir(`${my.file}.maps`), []);
});

test('a restart of Myelin knows what stands in the maps of the HAProxy that runs, and puts the files right', async () => {
  await using my = await setup();
  const port = await freePort();
  const first = await reconciling(my, current);
  await first.reconcile(shared(my, port, { '/a/': 'one' }));
  const desired = shared(my, port, { '/a/': 'one', '/b/': 'two' });
  await first.reconcile(desired);
  await first.control[Symbol.asyncDispose]();
  await writeFile(mapOf(my), 'something else\n');

  const { control, reconcile } = await reconciling(my, current);
  assert.deepEqual(control.running?.sections, desired.sections);
  assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ one\n/b/ two\n');
  assert.equal((await reconcile(desired)).kind, 'noop');
  assert.equal((await reconcile(shared(my, port, { '/b/': 'one' }))).kind, 'runtime');
  assert.deepEqual([await get(port, '/a'), await get(port, '/b')], ['none', 'one']);
});

test('a Myelin that was killed over a candidate finds the maps of what serves', async () => {
  await using my = await setup();
  const port = await freePort();
  const first = await reconciling(my, current);
  applied(await first.control.apply(shared(my, port, { '/a/': 'one' }), reload, never));
  await first.control[Symbol.asyncDispose]();
  // As the one before left it: swapped in, and not accepted.
  const killed = configFile(my.file, { folders: [`${my.file}.maps`] });
  const files = [
    { path: mapOf(my), text: '/a/ two\n', mode: 0o640 },
    { path: join(`${my.file}.maps`, 'new.map'), text: '', mode: 0o640 },
  ];
  await killed.propose('candidate\n', files);

  const { control } = await reconciling(my, current);
  assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ one\n');
  assert.deepEqual(await readdir(`${my.file}.maps`), ['public.map']);
  assert.deepEqual(
    (await readdir(my.folder)).filter((name) => name.startsWith('haproxy.cfg.')),
    ['haproxy.cfg.maps'],
  );
  assert.equal(control.running?.generation, 1);
});

test('where others start HAProxy, its maps are written and removed with the config', async () => {
  await using my = await setup();
  const control = await my.open({ haproxy: { control: 'none' } });
  const port = await freePort();
  applied(await control.apply(shared(my, port, { '/a/': 'one' }), reload, never));
  assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ one\n');
  applied(await control.apply(shared(my, port, { '/a/': 'two' }), reload, never));
  assert.equal(await readFile(mapOf(my), 'utf8'), '/a/ two\n');
  applied(await control.apply(rendered(my, [{ bind: `127.0.0.1:${port}` }]), reload, never));
  assert.deepEqual(await readdir(`${my.file}.maps`), []);
});
