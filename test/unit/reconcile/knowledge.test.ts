/** What is known of the process that serves, whatever happens to it in whatever order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AppError } from '../../../src/errors.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Rendered } from '../../../src/model.ts';
import {
  type Knowledge,
  type KnowledgeEvent,
  knowledgeAtStart,
  nextKnowledge,
  reloadReasons,
} from '../../../src/reconcile/runtime/knowledge.ts';
import { RuntimeUpdater } from '../../../src/reconcile/runtime/runtime-updater.ts';
import { type Fault, ModelDriver } from '../../support/models/driver.ts';
import { ModelHaproxy } from '../../support/models/haproxy.ts';

const never = new AbortController().signal;

test('Knowledge: every event has its meaning in every state', () => {
  const reason = { code: 'reply_unexpected', section: 'backend web' } as const;
  const found = knowledgeAtStart(1);
  const after = (state: Knowledge, ...events: readonly KnowledgeEvent[]): Knowledge =>
    events.reduce(nextKnowledge, state);
  const unread = after(found, { kind: 'reloaded', generation: 1 });
  const verified = after(unread, { kind: 'read' });
  const needsReload = after(verified, { kind: 'reload_required', reasons: [reason] });
  const short = (state: Knowledge): string => {
    const { kind, generation, unanswered } = state;
    const flags = kind === 'unread' ? [state.isFound ? 'found' : '', state.isScheduled ? 'scheduled' : ''] : [];
    const reasons = [...reloadReasons(state).keys()];
    return [kind, `g${generation}`, ...flags, ...reasons, unanswered > 0 ? `unanswered ${unanswered}` : '']
      .filter((word) => word !== '')
      .join(' ');
  };
  const other = { ...reason, section: 'backend db' };
  const events: readonly KnowledgeEvent[] = [
    { kind: 'serves', generation: 1 },
    { kind: 'serves', generation: 2 },
    { kind: 'serves', generation: null },
    { kind: 'reloaded', generation: 2 },
    { kind: 'scheduled' },
    { kind: 'read' },
    { kind: 'reload_required', reasons: [other] },
    { kind: 'answered' },
    { kind: 'unanswered' },
  ];
  const table = [found, unread, verified, needsReload].map((state) => [
    short(state),
    ...events.map((event) => short(nextKnowledge(state, event))),
  ]);
  const restarted = ['unread g2', 'unread gnull', 'unread g2'];
  assert.deepEqual(table, [
    ['unread g1 found', 'unread g1 found', ...restarted, 'unread g1 found scheduled', 'verified g1'].concat([
      'unread g1 found',
      'unread g1 found',
      'unread g1 found unanswered 1',
    ]),
    ['unread g1', 'unread g1', ...restarted, 'unread g1 scheduled', 'verified g1'].concat([
      'needs_reload g1 backend db',
      'unread g1',
      'unread g1 unanswered 1',
    ]),
    ['verified g1', 'verified g1', ...restarted, 'verified g1', 'verified g1'].concat([
      'needs_reload g1 backend db',
      'verified g1',
      'verified g1 unanswered 1',
    ]),
    ['needs_reload g1 backend web', 'needs_reload g1 backend web', ...restarted]
      .concat(['needs_reload g1 backend web', 'needs_reload g1 backend web', 'needs_reload g1 backend web backend db'])
      .concat(['needs_reload g1 backend web', 'needs_reload g1 backend web unanswered 1']),
  ]);
});

test('Knowledge: a process whose commands do not help before it was read back is to be read back all the same', () => {
  const required: KnowledgeEvent = {
    kind: 'reload_required',
    reasons: [{ code: 'reply_unexpected', section: 'backend web' }],
  };
  const state = nextKnowledge(nextKnowledge(knowledgeAtStart(1), { kind: 'reloaded', generation: 2 }), required);
  assert.deepEqual([state.kind, state.isScheduled], ['needs_reload', false]);
  assert.equal(nextKnowledge(state, { kind: 'scheduled' }).isScheduled, true);
});

/** By backend, its servers and their weights. */
type Servers = Readonly<Record<'web' | 'db', Readonly<Record<string, number>>>>;

const places: Readonly<Record<string, string>> = { a: '10.0.0.1:80', b: '10.0.0.2:80', c: '10.0.0.3:80' };

function rendered(servers: Servers): Rendered {
  const sections = Object.entries(servers).flatMap(([backend, its]) => {
    const lines = Object.entries(its).map(([name, weight]) => `server ${name} ${places[name]} weight ${weight}\n`);
    return splitSections(`backend ${backend}\nbalance roundrobin\n${lines.join('')}`, backend);
  });
  return { sections };
}

type Model = {
  desired: Rendered;
  /** Nothing was done by hand, or left unanswered, since all was read back. */
  isUntouched: boolean;
};

class Real {
  readonly driver: ModelDriver;
  readonly updater: RuntimeUpdater;
  now = 0;

  constructor(first: Rendered) {
    this.driver = new ModelDriver(first);
    this.updater = new RuntimeUpdater(this.driver, {
      now: () => this.now,
      verify: () => ({ verifyInterval: 10_000, drift: 'repair' }),
      report() {},
    });
  }

  /** As a reconcile does it; false: what is desired could not be brought about. */
  async reconcile(desired: Rendered): Promise<boolean> {
    if (!(await this.answers(() => this.updater.verifyFound()))) return false;
    for (let tries = 0; tries < 5; tries++) {
      const plan = this.updater.plan(desired, []);
      if (plan.kind === 'reload') {
        await this.driver.apply(desired, plan);
        await this.updater.reloaded(desired);
        return true;
      }
      const outcome = await this.updater.apply(desired, plan, never);
      if (outcome.kind === 'applied') return true;
      if (outcome.kind === 'failed') return false;
    }
    assert.fail('it is planned anew for ever');
  }

  async look(afterMs: number): Promise<boolean> {
    this.now += afterMs;
    return this.answers(() => this.updater.verify());
  }

  /** False: HAProxy did not. */
  async answers(ask: () => Promise<unknown>): Promise<boolean> {
    try {
      await ask();
      return true;
    } catch (error) {
      if (error instanceof AppError && this.driver.fault === 'silent') return false;
      throw error;
    }
  }

  /** What holds whatever has happened. */
  async assertSound({ desired }: Model): Promise<void> {
    const { updater, driver } = this;
    const plan = updater.plan(desired, []);
    const { knowledge } = updater;
    assert.equal(knowledge.generation, driver.running?.generation);
    const reasons = reloadReasons(knowledge);
    assert.equal(plan.kind === 'reload', knowledge.kind === 'needs_reload', 'nothing but doubt is a reload here');
    const sent = driver.sent.length;
    await updater.meanwhile(desired, never);
    const since = driver.sent.slice(sent);
    assert.deepEqual(
      since.filter(({ backend }) => reasons.has(`backend ${backend}`)),
      [],
      'whom commands do not help gets none',
    );
  }
}

const weights = fc.dictionary(fc.constantFrom(...Object.keys(places)), fc.integer({ min: 1, max: 3 }), {
  noNullPrototype: true,
});
const servers: fc.Arbitrary<Servers> = fc.record({ web: weights, db: weights }, { noNullPrototype: true });

function command(name: string, step: (model: Model, real: Real) => Promise<void>): fc.AsyncCommand<Model, Real> {
  return {
    check: () => true,
    async run(model, real) {
      const { driver } = real;
      const sent = driver.sent.length;
      await step(model, real);
      await real.assertSound(model);
      // What unanswered commands have made of it is asked for at once, and a second later where that is not answered either.
      if (driver.fault === 'silent' && driver.sent.length > sent) model.isUntouched = false;
    },
    toString: () => name,
  };
}

const commands: readonly fc.Arbitrary<fc.AsyncCommand<Model, Real>>[] = [
  servers.map((next) =>
    command(`desire ${JSON.stringify(next)}`, async (model, real) => {
      model.desired = rendered(next);
      await real.reconcile(model.desired);
    }),
  ),
  fc.constantFrom(1, 60, 1100, 11_000).map((ms) =>
    command(`look after ${ms} ms`, async (model, real) => {
      real.updater.plan(model.desired, []);
      const { knowledge } = real.updater;
      const isBegun = knowledge.kind === 'unread' && knowledge.isScheduled;
      // By then all of it is due, and it is little enough to be looked at in one go.
      const isAnswered = await real.look(ms);
      if (isAnswered && isBegun && ms >= 1100) assert.notEqual(real.updater.knowledge.kind, 'unread');
      // Where HAProxy did not answer, the same is asked a second later: until then it is not known what commands have made of it.
      if (!isAnswered) model.isUntouched = false;
      // Whatever commands were answered, what they have made of it is known 50 ms later; all else once its turn has come.
      if (!isAnswered || ms < 60 || (!model.isUntouched && ms < 11_000)) return;
      const { haproxy, running } = real.driver;
      // No line has a word for a server that drains.
      if (['web', 'db'].some((backend) => haproxy.rows(backend).some((row) => row.srv_admin_state === '8'))) return;
      assert.deepEqual(new ModelHaproxy(running?.sections ?? []).serving(), haproxy.serving());
      model.isUntouched = true;
    }),
  ),
  fc.constantFrom<Fault>('none', 'none', 'refusing', 'lying', 'deaf', 'late', 'silent').map((fault) =>
    command(`${fault}`, async (_, real) => {
      real.driver.fault = fault;
    }),
  ),
  fc
    .record({
      set: fc.constantFrom('maint' as const, 'ready' as const, 'drain' as const, 9, 9, 9),
      backend: fc.constantFrom('web', 'db'),
      server: fc.constantFrom('a', 'b', 'c'),
    })
    .map(({ set, backend, server }) =>
      command(`by hand ${set} ${backend}/${server}`, async (model, { driver: { haproxy } }) => {
        const isThere = haproxy.rows(backend).some(({ srv_name }) => srv_name === server);
        if (!isThere) return;
        if (typeof set === 'number') haproxy.run({ kind: 'server', action: 'weight', backend, server, weight: set });
        else haproxy.setState(backend, server, set);
        model.isUntouched = false;
      }),
    ),
  fc.constant(command('another process', async (_, { driver }) => driver.start(driver.running?.sections ?? []))),
  fc.constant(command('reaped', async (_, { driver }) => driver.reap())),
];

test('Knowledge: whatever is done by hand, answered wrongly or not at all, HAProxy ends with what is desired, and is reloaded only where commands do not help', async () => {
  const counts = { reloads: 0, sent: 0 };
  await fc.assert(
    fc.asyncProperty(servers, fc.commands([...commands], { maxCommands: 25 }), async (first, some) => {
      const model: Model = { desired: rendered(first), isUntouched: true };
      const real = new Real(model.desired);
      await fc.asyncModelRun(() => ({ model, real }), some);

      real.driver.fault = 'none';
      for (let rounds = 0; rounds < 4; rounds++) {
        assert.ok(await real.reconcile(model.desired));
        await real.look(11_000);
        await real.look(60);
      }
      assert.equal(real.updater.knowledge.kind, 'verified');
      assert.deepEqual(real.updater.plan(model.desired, []), { kind: 'none' });
      assert.deepEqual(real.driver.haproxy.serving(), new ModelHaproxy(model.desired.sections).serving());
      counts.reloads += real.driver.reloads.length;
      counts.sent += real.driver.sent.length;
    }),
    { numRuns: Number(process.env.FC_RUNS ?? 1500) },
  );
  assert.ok(counts.reloads > 100 && counts.sent > 5000, JSON.stringify(counts));
});
