/** The real HAProxy executes what is planned for maps: it ends with the entries that are wanted, whatever stood there. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { type Entry, lineOf } from '../../../src/haproxy/resources/maps/entries.ts';
import { findDrift, observeMaps, ownerOf, readMaps } from '../../../src/haproxy/resources/maps/read-back.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { MapDrift, Rendered, RuntimeCommand } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { branches, haproxy } from '../../servers/haproxy.ts';
import { startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder } from '../../support/index.ts';

const done = { kind: 'done' } as const;
const key = fc.constantFrom(
  'shop.example.com/',
  'shop.example.com/api/',
  '*.example.com/',
  '*/health/',
  'a/;x="1"/',
  "a/\\path'$(x)/",
  '10000',
);
const value = fc.constantFrom('a', 'b', 'a|2|/v2/x', 'b|1|');
const entry = fc.record({ key, value });
const wanted = fc.uniqueArray(entry, { selector: (each) => each.key });
/** By hand, any entry may come, once more too. */
const step = fc.tuple(fc.array(entry, { maxLength: 3 }), wanted);

for (const branch of branches)
  test(`a map of HAProxy ${branch} has what is wanted after each of 150 random changes, in one process`, async (t) => {
    await using folder = await tempFolder();
    const map = join(folder.path, 'haproxy.cfg.maps', 'public.map');
    await mkdir(join(map, '..'));
    const config = [
      'global',
      `    stats socket ${join(folder.path, 'admin.sock')} mode 600 level admin`,
      'defaults',
      '    mode http',
      '    timeout connect 5s',
      '    timeout client 5s',
      '    timeout server 5s',
      'frontend in',
      `    bind ${join(folder.path, 'in.sock')}`,
      `    use_backend %[path,map_beg(${map},b)]`,
      'backend a',
      'backend b',
      '',
    ].join('\n');
    const file = (entries: readonly Entry[]): Rendered => ({
      sections: [
        ...splitSections(config),
        { kind: 'map', name: map, text: entries.map(lineOf).join(''), service: null },
      ],
    });
    await writeFile(map, '');
    await using process = await startHaproxy(await haproxy(branch), folder.path, config);
    const runtime = { capabilities: process.capabilities, leaving: [], started: null };
    const read = async (): Promise<Parameters<typeof findDrift>[1]> =>
      (await readMaps((line) => ask(process.socket, [line]), [map])).seen;
    /** Whether it is enough to look up what these commands are about. */
    const isConfirmed = async (expected: Rendered, commands: readonly RuntimeCommand[]): Promise<boolean> => {
      const of = {
        running: expected,
        capabilities: process.capabilities,
        touched: new Map([[ownerOf(map), commands]]),
      };
      const { seen } = await observeMaps((line) => ask(process.socket, [line]), [ownerOf(map)], of);
      return seen.get(ownerOf(map))?.entries === null;
    };
    let running = file([]);
    let sent = 0;
    for (const [byHand, entries] of fc.sample(step, 150)) {
      const added = byHand.map((each) => ({ kind: 'map', action: 'add', map, ...each }) as const);
      for (const verdict of await process.run(added)) assert.deepEqual(verdict, done);
      const seen = await read();
      for (const command of added)
        if (await isConfirmed(running, [command]))
          for (const { drift } of findDrift(running, seen).findings)
            assert.ok((drift as MapDrift).key !== command.key || drift.kind === 'duplicate', JSON.stringify(drift));
      running = findDrift(running, seen).running;
      const desired = file(entries);
      const plan = planChange(running, desired, runtime);
      if (plan.kind === 'reload') assert.fail(JSON.stringify(plan.reasons));
      const commands = plan.kind === 'none' ? [] : plan.commands;
      for (const [at, verdict] of (await process.run(commands)).entries())
        assert.deepEqual(verdict, done, JSON.stringify(commands[at]));
      assert.deepEqual(findDrift(desired, await read()).findings, []);
      assert.equal(await isConfirmed(desired, commands), commands.length > 0);
      running = desired;
      sent += commands.length;
    }
    t.diagnostic(`${sent} commands`);

    const many = Array.from({ length: 10_000 }, (_, at) => ({ key: `host-${at}.example.com/`, value: 'a' }));
    const timed = async (desired: Rendered): Promise<number> => {
      const startedAt = performance.now();
      const plan = planChange(running, desired, runtime);
      const commands = plan.kind === 'runtime' ? plan.commands : [];
      for (const verdict of await process.run(commands)) assert.deepEqual(verdict, done);
      running = desired;
      return performance.now() - startedAt;
    };
    const all = await timed(file(many));
    const one = await timed(file(many.with(5000, { key: 'new.example.com/', value: 'b' })));
    t.diagnostic(`10,000 entries: ${all.toFixed(0)} ms, one of them: ${one.toFixed(1)} ms`);
    assert.deepEqual(findDrift(running, await read()).findings, []);
  });
