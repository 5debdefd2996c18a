/** For random pairs of configs: the real HAProxy ends with what it would have after a reload, and starts from what is written in between. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { findBinary } from '../../../src/haproxy/binary/binary.ts';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { readServersState, type ServerStateRow } from '../../../src/haproxy/cli/info.ts';
import { ask } from '../../../src/haproxy/cli/socket.ts';
import { noMaxconn } from '../../../src/haproxy/resources/servers/commands.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { runCommand } from '../../../src/lib/command.ts';
import type { Section, ServerCommand } from '../../../src/model.ts';
import { branches, type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { type HaproxyProcess, startHaproxy } from '../../support/haproxy/process.ts';
import { tempFolder } from '../../support/index.ts';
import { ModelHaproxy } from '../../support/models/haproxy.ts';
import { findDrift, planChange, planMeanwhile } from '../../support/values/plans.ts';
import { files } from '../../support/values/random-plans.ts';

const done = { kind: 'done' } as const;
/** Of each kind; each takes two starts of HAProxy. */
const enough = Number(process.env.FC_RUNS ?? 15);

for (const branch of branches)
  test(`HAProxy ${branch} ends as after a reload from each of many random configs, or half-way in a state to start from`, async (t) => {
    await using folder = await tempFolder();
    const binary = await haproxy(branch);
    const capabilities = capabilitiesOf((await findBinary(binary, undefined)).version);
    const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const counts = { wanted: 0, parts: 0 };
    for (const [at, { running, wanted }] of fc.sample(files, { numRuns: 2000, seed }).entries()) {
      if (counts.wanted >= enough && counts.parts >= enough) break;
      if (![...running, ...wanted].every(({ text }) => isFor(branch, text))) continue;
      if (new ModelHaproxy(running).refuses !== null) continue;
      const what = `sample ${at} of seed ${seed}`;
      const start = (sections: readonly Section[]): Promise<HaproxyProcess> =>
        startHaproxy(binary, folder.path, configOf(folder.path, sections));
      const seeProcess = async (
        after: HaproxyProcess,
        sections: readonly Section[],
        sent: readonly ServerCommand[],
      ) => {
        const verdicts = await after.run(sent);
        for (const [each, verdict] of verdicts.entries())
          assert.deepEqual(verdict, done, `${JSON.stringify(sent[each])}, ${what}`);
        const { rows } = await readServersState(after.socket);
        const limits = await limitsOf(after.socket);
        await after[Symbol.asyncDispose]();
        await using fresh = await start(sections);
        const expected = await readServersState(fresh.socket);
        const expectedLimits = await limitsOf(fresh.socket);
        const removed = new Set(sent.filter(({ action }) => action === 'remove').map(nameOf));
        const left = rows.filter((row) => !removed.has(`${row.be_name}/${row.srv_name}`));
        assert.deepEqual(statesIn(left, sections), statesIn(expected.rows, sections), what);
        assert.deepEqual(ordersIn(left, sections), ordersIn(expected.rows, sections), what);
        for (const name of removed) limits.delete(name);
        assert.deepEqual(limits, expectedLimits, what);
        assertNoDrift(sections, rows, limits, what);
        assertNoDrift(sections, expected.rows, expectedLimits, what);
      };
      const runtime = { capabilities, leaving: [], started: running };
      const plan = planChange(running, wanted, { forced: [], ...runtime });
      const part = plan.kind === 'reload' ? planMeanwhile(running, wanted, runtime) : null;
      const kind = plan.kind === 'reload' ? 'parts' : 'wanted';
      if (counts[kind] >= enough || (plan.kind === 'reload' && part === null)) continue;
      // HAProxy has more rules than the model.
      const file = join(folder.path, 'check.cfg');
      await writeFile(file, configOf(folder.path, running));
      if ((await runCommand([binary, '-c', '-f', file], { timeoutMs: 10_000 })).status !== 0) continue;
      await using before = await start(running);
      const commands = plan.kind === 'runtime' ? plan.commands : [];
      await seeProcess(before, part?.sections ?? wanted, part?.commands ?? commands);
      counts[kind] += 1;
    }
    t.diagnostic(JSON.stringify(counts));
    assert.deepEqual(counts, { wanted: enough, parts: enough });
  });

/** With what it takes to start. */
function configOf(folder: string, sections: readonly Section[]): string {
  const head = `global\nstats socket ${join(folder, 'admin.sock')} mode 600 level admin\nmaxconn 100\n`;
  const text = textOf(sections).replace('frontend in\n', `frontend in\nbind ${join(folder, 'in.sock')}\n`);
  return `${head}resolvers x\nnameserver n 127.0.0.1:9\n${text}`;
}

/** 2.2 has no macros and no `from`, and no version has every keyword. */
function isFor(branch: HaproxyBranch, text: string): boolean {
  if (text.includes(' mystery')) return false;
  return branch !== '2.2' || !/^\.if| from named/m.test(text);
}

function nameOf({ backend, server }: ServerCommand): string {
  return `${backend}/${server}`;
}

/** Bits of `srv_admin_state` by which it gets nothing: forced, or of a server that it tracks. */
const out = 0x01 | 0x02;

/** A consistent hash deals by ids. */
function statesIn(rows: readonly ServerStateRow[], sections: readonly Section[]): readonly string[] {
  const hashed = new Set(sections.filter(({ text }) => text.includes('hash-type consistent')).map(({ name }) => name));
  return rows
    .map((row) => {
      const isOut = (Number(row.srv_admin_state) & out) !== 0;
      const id = hashed.has(row.be_name ?? '') ? row.srv_id : '';
      return [row.be_name, row.srv_name, id, row.srv_addr, row.srv_port, row.srv_uweight, isOut ? 'out' : 'in'].join(
        ' ',
      );
    })
    .sort();
}

/** Where servers stand among those for which that matters. */
function ordersIn(rows: readonly ServerStateRow[], sections: readonly Section[]): readonly string[] {
  const orders = new ModelHaproxy(sections).serving().filter((line) => line.includes(' < '));
  return orders.map((line) => {
    const [backend, ...names] = line.split(/ (?:< )?/);
    return rows
      .filter((row) => row.be_name === backend && names.includes(row.srv_name ?? ''))
      .map((row) => row.srv_name)
      .join(' < ');
  });
}

/** `backend/server` → how many connections it takes at once; those with no limit are left out. */
async function limitsOf(socket: string): Promise<Map<string, number>> {
  const stat = await ask(socket, ['show stat -1 4 -1']);
  return new Map(
    stat.split('\n').flatMap((line) => {
      const [backend, server, , , , , limit = ''] = line.split(',');
      return /^\d+$/.test(limit) && Number(limit) !== noMaxconn
        ? [[`${backend}/${server}`, Number(limit)] as const]
        : [];
    }),
  );
}

function assertNoDrift(
  sections: readonly Section[],
  rows: readonly ServerStateRow[],
  limits: ReadonlyMap<string, number>,
  what: string,
): void {
  const servers = new Map(
    [...Map.groupBy(rows, (row) => row.be_name ?? '')].map(([backend, its]) => [backend, its] as const),
  );
  const observed = { servers, limits, leaving: [], orders: new Map(), unsettled: new Set<string>() };
  assert.deepEqual(findDrift(sections, observed).drift, [], what);
}
