/** For random pairs of configs: whatever is planned leads to what a reload would, and what is done of it at once is right by itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import type { LeavingServer, Section, ServerCommand } from '../../../src/model.ts';
import { ModelHaproxy } from '../../support/models/haproxy.ts';
import { planChange, planMeanwhile, type ServerPlan } from '../../support/values/plans.ts';
import { files } from '../../support/values/random-plans.ts';
import { version } from '../../support/values/render.ts';

test('what is planned for random pairs of configs ends as a reload does, and what is done at once is right by itself', () => {
  const counts = { none: 0, runtime: 0, reload: 0, parts: 0 };
  fc.assert(
    fc.property(files, fc.constantFrom('2.2.9', '2.6.12', '3.2.0'), ({ running, wanted }, on) => {
      fc.pre(new ModelHaproxy(running).refuses === null);
      const runtime = { capabilities: capabilitiesOf(version(on)), started: running };
      const plan = planChange(running, wanted, { forced: [], ...runtime, leaving: [] });
      counts[plan.kind] += 1;
      assertEndsAsWanted(new ModelHaproxy(running), plan, wanted);

      const part = planMeanwhile(running, wanted, { ...runtime, leaving: [] });
      if (part === null) return;
      if (plan.kind === 'reload') counts.parts += 1;
      else assert.deepEqual(part.commands, plan.kind === 'runtime' ? plan.commands : []);
      const model = new ModelHaproxy(running);
      for (const command of part.commands) model.run(command);
      const asWritten = new ModelHaproxy(part.sections);
      assert.equal(asWritten.refuses, null, 'HAProxy starts from what is written');
      assert.deepEqual(model.serving(), asWritten.serving(), 'what is written is what runs');
      assert.deepEqual(asWritten.structure(), new ModelHaproxy(running).structure());

      const leaving = part.commands.filter(
        (command): command is LeavingServer & ServerCommand => command.action === 'remove',
      );
      const rest = planChange(part.sections, wanted, { forced: [], ...runtime, leaving });
      assertEndsAsWanted(model, rest, wanted);
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 2000) },
  );
  assert.ok(counts.none > 20 && counts.runtime > 50 && counts.parts > 150, JSON.stringify(counts));
});

test('a server that is gone gets nothing any more while the rest waits, unless nobody else would be there', () => {
  let gone = 0;
  fc.assert(
    fc.property(files, fc.constantFrom('2.2.9', '2.6.12', '3.2.0'), ({ running, wanted }, on) => {
      fc.pre(new ModelHaproxy(running).refuses === null);
      const runtime = { capabilities: capabilitiesOf(version(on)), started: running, leaving: [] };
      const part = planMeanwhile(running, wanted, runtime);
      const model = new ModelHaproxy(running);
      for (const command of part?.commands ?? []) model.run(command);
      const takers = model.takers();
      const end = new ModelHaproxy(wanted);
      for (const section of running.filter(({ service }) => service !== null)) {
        const { name, text } = section;
        const now = wanted.find((other) => other.kind === 'backend' && other.name === name)?.text ?? '';
        // What is not modelled is left to the reload.
        if ([text, now].some((each) => /\.if \d\n(server|default-server)/.test(each)) || isTwice(now)) continue;
        const its = [...takers].filter((taker) => taker.startsWith(`${name}/`));
        const dead = its.filter((taker) => !now.includes(`\nserver ${taker.split('/')[1]} `));
        gone += its.length - dead.length;
        if (dead.length === 0) continue;
        assert.deepEqual(dead, its, `${dead.join()} would serve beside others`);
        assert.ok(end.available().has(name), 'nobody is wanted there');
      }
    }),
    { numRuns: 1000 },
  );
  assert.ok(gone > 250);
});

/** The model executes the plan and never lacks a server where there was one and will be one. */
function assertEndsAsWanted(model: ModelHaproxy, plan: ServerPlan, wanted: readonly Section[]): void {
  const end = new ModelHaproxy(wanted);
  if (plan.kind === 'reload') {
    assert.ok(plan.reasons.length > 0);
    return;
  }
  assert.equal(end.refuses, null, 'what HAProxy would refuse is not taken for the same');
  assert.deepEqual(model.structure(), end.structure());
  const throughout = [...model.available()].filter((name) => end.available().has(name));
  for (const command of plan.kind === 'runtime' ? plan.commands : []) {
    model.run(command);
    for (const name of throughout) assert.ok(model.available().has(name), `${name} has no server meanwhile`);
  }
  assert.deepEqual(model.serving(), end.serving());
}

function isTwice(text: string): boolean {
  const names = [...text.matchAll(/^server (\S+)/gm)].map(([, name]) => name);
  return new Set(names).size < names.length;
}
