/** For random pairs of configs: whatever is planned leads to what a reload would, and what is done of it at once is right by itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf } from '../../src/haproxy/capabilities.ts';
import { splitSections } from '../../src/haproxy/text.ts';
import type { LeavingServer, Plan, RuntimeCommand, Section } from '../../src/model.ts';
import { planChange, planMeanwhile } from '../../src/plan/plan.ts';
import { ModelHaproxy } from '../support/model-haproxy.ts';
import { version } from '../support/render.ts';

/** A server of a service; what its own line asks for goes by its name, so that most servers keep their options. */
const own: Readonly<Record<string, string>> = {
  d: ' maxconn 5',
  e: ' no-check',
  f: ' maxconn 5',
  g: ' ssl verify none',
  y: ' backup',
  z: ' backup',
};
const servers = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'x', 'y', 'z'),
      place: fc.constantFrom('10.0.0.1:80', '10.0.0.2:80', '[2001:db8::1]:80', '10.0.0.1:81'),
      weight: fc.constantFrom(0, 1, 1, 5),
      odd: fc.constantFrom(...Array<string>(30).fill(''), ' backup', ' disabled', ' mystery'),
    }),
    { selector: ({ name }) => name, maxLength: 6 },
  )
  .map((list) =>
    list.map(({ name, place, weight, odd }) => `server ${name} ${place} weight ${weight}${own[name] ?? ''}${odd}`),
  );

const balance = fc.constantFrom(
  [],
  ['balance leastconn'],
  ['balance first'],
  ['balance static-rr'],
  ['balance uri', 'hash-type consistent'],
  ['balance source'],
  ['option allbackups'],
);
/** What an administrator may write into a backend, own servers included. */
const raw = fc.array(
  fc.constantFrom(
    'http-request allow if { path_beg /public }',
    'http-request deny if { path_end .secret }',
    '# a remark',
    '.if 0\nhttp-request deny\n.endif',
    '.if 1\ndefault-server inter 3s\n.endif',
    '.if 0\nserver a 10.0.0.9:80\n.endif',
    'default-server check inter 3s',
    'default-server check send-proxy resolvers x',
    'use-server a if { path /special }',
    'server own 10.9.0.1:80 backup',
    'server own 10.9.0.2:80',
    'server tracking 10.9.0.3:80 track hand/h',
  ),
  { maxLength: 3 },
);
const backend = fc.record({
  from: fc.constantFrom('', '', ' from named'),
  balance,
  raw,
  servers,
  isBehind: fc.constantFrom(false, false, false, true),
});
type Backend = typeof backend extends fc.Arbitrary<infer T> ? T : never;

/** Most changes are of servers alone; some swap or double a line, some change everything. */
const pair = fc.tuple(
  backend,
  backend,
  fc.constantFrom('nothing', 'servers', 'servers', 'servers', 'swapped', 'doubled', 'everything'),
);
function after([before, other, what]: typeof pair extends fc.Arbitrary<infer T> ? T : never): Backend {
  switch (what) {
    case 'nothing':
      return { ...before, raw: [...before.raw, '# a remark'], servers: before.servers.toReversed() };
    case 'servers':
      return { ...before, servers: other.servers };
    case 'swapped':
      return { ...before, raw: before.raw.toReversed(), servers: other.servers };
    case 'doubled':
      return { ...before, raw: [...before.raw, ...before.raw.slice(0, 1)], servers: other.servers };
    case 'everything':
      return other;
  }
}

const elsewhere = fc.constantFrom('', '', '', 'http-request deny if { srv_conn(s0/b) gt 5 }');
const hand = fc.constantFrom('h 10.9.9.9:80', 'h 10.9.9.9:80', 'h 10.9.9.9:80 track s0/c');
const defaults = fc.constantFrom('default-server fall 9 check', 'default-server fall 9');

type Around = { readonly elsewhere: string; readonly hand: string; readonly defaults: string };

function file({ elsewhere, hand, defaults }: Around, backends: readonly Backend[]): readonly Section[] {
  const lines = backends.flatMap(({ from, balance, raw, servers, isBehind }, at) => [
    `backend s${at}${from}`,
    ...balance,
    ...(isBehind ? [...servers, ...raw] : [...raw, ...servers]),
  ]);
  const text = ['defaults named', 'default-server rise 4', 'defaults', defaults, 'frontend in', elsewhere, ...lines];
  text.push('backend hand', `server ${hand}`);
  const sections = splitSections(`${text.join('\n')}\n`);
  return sections.map((section) => ({ ...section, service: /^s\d$/.test(section.name) ? section.name : null }));
}

const around = fc.record({ elsewhere, hand, defaults });
const files = fc
  .tuple(fc.array(pair, { minLength: 1, maxLength: 2 }), around, around, fc.constantFrom(true, true, true, false))
  .map(([pairs, one, two, isSame]) => ({
    running: file(
      one,
      pairs.map(([before]) => before),
    ),
    wanted: file(isSame ? one : two, pairs.map(after)),
  }));

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
        (command): command is LeavingServer & RuntimeCommand => command.kind === 'remove',
      );
      const rest = planChange(part.sections, wanted, { forced: [], ...runtime, leaving });
      assertEndsAsWanted(model, rest, wanted);
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 4000) },
  );
  assert.ok(counts.none > 20 && counts.runtime > 150 && counts.parts > 150, JSON.stringify(counts));
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
    { numRuns: 2000 },
  );
  assert.ok(gone > 500);
});

/** The model executes the plan and never lacks a server where there was one and will be one. */
function assertEndsAsWanted(model: ModelHaproxy, plan: Plan, wanted: readonly Section[]): void {
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
