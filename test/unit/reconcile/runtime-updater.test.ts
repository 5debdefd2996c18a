/** What becomes of replies that are not known to be good, and of what cannot be set right: a repair or a reload, never silence. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandOutcome, Outcome, Running, Runtime } from '../../../src/apply/driver.ts';
import { AppError } from '../../../src/errors.ts';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { parseVersion } from '../../../src/haproxy/binary/version.ts';
import { parseServersState, type ServerStateRow } from '../../../src/haproxy/cli/info.ts';
import { backendOf, seenServers } from '../../../src/haproxy/resources/servers/read-back.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { serverLines, splitSections } from '../../../src/haproxy/text/text.ts';
import type {
  Plan,
  Problem,
  Rendered,
  RuntimeCommand,
  Section,
  ServerCommand,
  ServerDrift,
  ServerOverride,
} from '../../../src/model.ts';
import type { Overrides } from '../../../src/reconcile/overrides/overrides.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import type { Result } from '../../../src/reconcile/result.ts';
import { RuntimeUpdater } from '../../../src/reconcile/runtime/runtime-updater.ts';
import { ScriptedDriver } from '../../support/models/scripted-driver.ts';
import { serverCommands, serverDrift } from '../../support/values/plans.ts';

const never = new AbortController().signal;
const version = parseVersion('2.6.12') ?? assert.fail();

const config = (...servers: readonly string[]): Rendered => ({
  sections: splitSections(
    `frontend web:in\n    mode http\nbackend web\n${servers.map((server) => `    server ${server}\n`).join('')}`,
    'web',
  ),
});
const one = config('a 10.0.0.1:80 weight 1');
const two = config('a 10.0.0.1:80 weight 1', 'b 10.0.0.2:80 weight 1');

test('where an unexpected reply changed nothing for the worse, what was read back is what counts', async () => {
  const control = new Scripted(one);
  const { reconcile } = reconciler(control);
  control.does = () => {
    control.has(two);
    return 'unheard of';
  };
  assert.deepEqual(await reconcile(two), { kind: 'noop' });
  assert.equal(control.reloads.length, 0);
});

test('where a command did not do what it should, a reload does, with the reply as its reason', async () => {
  const control = new Scripted(one);
  const { reconcile } = reconciler(control);
  control.does = () => 'unheard of';
  const result = await reconcile(two);
  assert.ok(result.kind === 'reload', JSON.stringify(result));
  assert.deepEqual(result.reasons[0], {
    code: 'reply_unexpected',
    section: 'backend web',
    detail: 'add b: unheard of',
  });
  // Commands are trusted again.
  control.does = () => null;
  control.has(one);
  assert.equal((await reconcile(one)).kind, 'runtime');
});

test('while a reload for it has to wait, the same command is not tried again', async () => {
  const control = new Scripted(one);
  const { reconcile } = reconciler(control);
  control.does = () => 'unheard of';
  control.freeAt = 5000;
  assert.equal((await reconcile(two)).kind, 'pending');
  const sent = control.sent.length;
  assert.equal((await reconcile(two)).kind, 'pending');
  assert.equal(control.sent.length, sent);
});

test('drift is set right by a plan like any other, and told', async () => {
  const control = new Scripted(two);
  const { reconcile, changes, drift } = reconciler(control);
  control.has(config('b 10.0.0.2:80 weight 9'));
  assert.equal(await changes.verify(), true);
  assert.deepEqual(
    drift.map(({ server, kind }) => `${server} ${kind}`),
    ['a missing', 'b weight'],
  );
  assert.equal((await reconcile(two)).kind, 'runtime');
  assert.deepEqual(
    control.sent.map(({ action, server }) => `${action} ${server}`),
    ['add a', 'ready a', 'weight b'],
  );
});

test('what was right at many looks is found wrong at the next, each thing that can be, and right again after it', async () => {
  const control = new Scripted(two);
  const { changes, drift, pass } = reconciler(control, 'report');
  const found = async (): Promise<readonly string[]> => {
    for (let looks = 0; looks < 3; looks++) {
      drift.length = 0;
      pass(10_000);
      await changes.verify();
    }
    return drift.map(({ server, kind }) => `${server} ${kind}`);
  };
  assert.deepEqual(await found(), []);
  for (const [wrong, what] of [
    [config('a 10.0.0.1:80 weight 9', 'b 10.0.0.2:80 weight 1'), 'a weight'],
    [config('a 10.0.0.1:80 weight 1', 'b 10.0.0.3:80 weight 1'), 'b address'],
    [config('a 10.0.0.1:81 weight 1', 'b 10.0.0.2:80 weight 1'), 'a address'],
    [one, 'b missing'],
    [config('a 10.0.0.1:80 weight 1', 'b 10.0.0.2:80 weight 1', 'c 10.0.0.3:80 weight 1'), 'c extra'],
  ] as const) {
    control.has(wrong);
    assert.deepEqual(await found(), [what]);
    control.has(two);
    assert.deepEqual(await found(), []);
  }
  control.states.set('b', '1');
  assert.deepEqual(await found(), ['b state']);
  control.states.delete('b');
  assert.deepEqual(await found(), []);
});

test('what is as it was right after it was set right is for a reload', async () => {
  const control = new Scripted(one);
  const { reconcile, changes, pass } = reconciler(control);
  assert.equal((await reconcile(one)).kind, 'noop');
  // It says yes and does nothing.
  control.does = () => null;
  const wrong = config('a 10.0.0.1:80 weight 9');
  control.has(wrong);
  assert.equal(await changes.verify(), true);
  control.stays = wrong;
  assert.equal((await reconcile(one)).kind, 'runtime');
  pass(60);
  assert.equal(await changes.verify(), true);
  const result = await reconcile(one);
  assert.ok(result.kind === 'reload', JSON.stringify(result));
  assert.ok(result.reasons.some(({ code }) => code === 'drift_unrepairable'));
});

test('a process that was found running is looked at before anything is planned, and again where it did not answer', async () => {
  const control = new Scripted(two);
  const { reconcile, drift } = reconciler(control);
  control.has(one);
  control.isSilent = true;
  const failed = await reconcile(two);
  assert.ok(failed.kind === 'failed' && failed.at > 0, JSON.stringify(failed));
  assert.deepEqual([control.sent, drift], [[], []]);
  control.isSilent = false;
  assert.equal((await reconcile(two)).kind, 'runtime');
  assert.deepEqual(
    control.sent.map(({ action, server }) => `${action} ${server}`),
    ['add b', 'ready b'],
  );
});

test('what a look that failed was to see is looked at again', async () => {
  const control = new Scripted(one);
  const { reconcile, changes, pass } = reconciler(control);
  await reconcile(one);
  await reconcile(two);
  pass(60);
  control.isSilent = true;
  await assert.rejects(changes.verify(), /no answer/);
  control.isSilent = false;
  control.asked = [];
  pass(1100);
  await changes.verify();
  assert.deepEqual(control.asked, ['web']);
});

test('what commands without an answer may have done is read back at once, also where nothing of it is wanted any more', async () => {
  const control = new Scripted(one);
  const { reconcile, changes, drift, pass } = reconciler(control);
  await reconcile(one);
  pass(60);
  await changes.verify();
  control.isLate = true;
  assert.equal((await reconcile(two)).kind, 'failed');
  control.isLate = false;
  assert.equal((await reconcile(one)).kind, 'noop');
  pass(60);
  assert.ok((changes.nextVerification ?? 0) <= 120);
  await changes.verify();
  assert.deepEqual(
    drift.map(({ server, kind }) => `${server} ${kind}`),
    ['b extra'],
  );
});

test('where HAProxy answers what it is asked and again not what it is told, a reload does it', async () => {
  const control = new Scripted(one);
  const { reconcile } = reconciler(control);
  control.isDeaf = true;
  assert.equal((await reconcile(two)).kind, 'failed');
  const result = await reconcile(two);
  assert.ok(result.kind === 'reload', JSON.stringify(result));
  assert.deepEqual(result.reasons[0], { code: 'reply_unexpected', section: 'backend web', detail: 'no answer' });
});

test('where HAProxy answers nothing at all, commands are tried again and nothing is reloaded', async () => {
  const control = new Scripted(one);
  const { reconcile, changes } = reconciler(control);
  await changes.verifyFound();
  control.isDeaf = true;
  control.isSilent = true;
  for (let times = 0; times < 3; times++) assert.equal((await reconcile(two)).kind, 'failed');
  control.isDeaf = false;
  assert.equal((await reconcile(two)).kind, 'runtime');
  assert.deepEqual(control.reloads, []);
});

test('what commands have changed is read back at once, and is set right where it did not come about', async () => {
  const control = new Scripted(one);
  const { changes, reconcile, drift, pass } = reconciler(control);
  // The rotation has had its turn.
  pass(60);
  await changes.verify();
  control.stays = one;
  assert.equal((await reconcile(two)).kind, 'runtime');
  assert.ok((changes.nextVerification ?? Number.POSITIVE_INFINITY) <= 60 + 60, `${changes.nextVerification}`);
  pass(60);
  assert.ok(await changes.verify());
  assert.deepEqual(
    drift.map(({ server, kind }) => `${server} ${kind}`),
    ['b missing'],
  );
});

test('who orders a server out is told where HAProxy could not be told, or did not do it', async () => {
  const control = new Scripted(one);
  const { changes } = reconciler(control);
  const order = { backend: 'web', server: 'a', state: 'maint', until: null } as const;
  const obeyed = (state: 'maint' | 'drain' | null): Promise<void> => changes.enforce({ ...order, state });
  await assert.rejects(obeyed('maint'), /HAProxy still sends new connections to web\/a/);
  assert.deepEqual(control.sent, [{ kind: 'server', action: 'maint', backend: 'web', server: 'a', hasAgent: true }]);
  await assert.rejects(obeyed('drain'), /still sends/);
  control.isDeaf = true;
  await assert.rejects(obeyed('maint'), /no answer/);
  control.states.set('a', '1');
  await obeyed('maint');
  control.has(config('a 10.0.0.1:80 weight 0'));
  await obeyed('drain');
  await obeyed(null);
  control.has(config());
  await obeyed('maint');
});

test('an order is obeyed by every process, whatever drift is only reported, and also where its service is quarantined', async () => {
  const control = new Scripted(two);
  const overrides = new Map<string, ServerOverride>([['web/b', 'maint']]);
  const { reconcile, apart } = reconciler(control, 'report', overrides);
  const told: ServerCommand[] = [];
  const { capabilities } = control.runtime;
  let has = two.sections;
  control.leaves = () => ({
    running: { sections: has },
    capabilities,
    leaving: [],
    started: null,
    health: async () => new Map(),
    downBackends: async () => new Set<string>(),
    observe: async () => new Map(),
    acceptObserved() {},
    applyCommands: async (commands, { sections }) => {
      told.push(...serverCommands(commands));
      has = sections;
      return { kind: 'applied', tookMs: 0 };
    },
  });
  const said = (): readonly string[] => [...control.sent, ...told].map(({ action, server }) => `${action} ${server}`);
  assert.equal((await reconcile(two)).kind, 'runtime');
  assert.deepEqual(said(), ['maint b', 'maint b']);
  assert.match(textOf(control.running.sections), /server b .* disabled # by `myelin server`/);
  control.refuses = 'bad';
  const refused = { sections: two.sections.map((each) => ({ ...each, text: `${each.text}    bad\n` })) };
  await reconcile(refused);
  await reconcile(refused);
  assert.deepEqual(
    apart().map(({ service }) => service),
    ['web'],
  );
  overrides.clear();
  assert.equal((await reconcile(refused)).kind, 'runtime');
  assert.deepEqual(said(), ['maint b', 'ready b', 'maint b', 'ready b']);
  assert.equal(textOf(control.running.sections), textOf(two.sections));
});

test('each process that was started with a server out is told to ask its agent no more', async () => {
  const control = new Scripted(
    config('a 10.0.0.1:80 weight 1 agent-check agent-port 9 disabled', 'b 10.0.0.2:80 weight 1'),
  );
  control.states.set('a', '5');
  const { changes, drift } = reconciler(control);
  const maint = { kind: 'server', action: 'maint', backend: 'web', server: 'a', hasAgent: true };
  for (let looks = 0; looks < 3; looks++) await changes.verify();
  assert.deepEqual(control.sent, [maint]);
  control.running = { ...control.running, generation: 2 };
  for (let looks = 0; looks < 3; looks++) await changes.verify();
  assert.deepEqual(control.sent, [maint, maint]);
  assert.deepEqual(drift, []);
});

test('a server that comes back while it is ordered out comes back out of service', async () => {
  const control = new Scripted(one);
  const overrides = new Map<string, ServerOverride>([['web/b', 'maint']]);
  const { reconcile } = reconciler(control, 'repair', overrides);
  assert.equal((await reconcile(two)).kind, 'runtime');
  overrides.set('web/b', 'drain');
  assert.equal((await reconcile(two)).kind, 'runtime');
  assert.deepEqual(
    control.sent.map(({ action, server }) => `${action} ${server}`),
    ['add b', 'weight b', 'ready b'],
  );
  assert.match(textOf(control.running.sections), /server b .* weight 0 # by `myelin server`/);
});

test('a process that leaves and missed a removal is told of it also where nothing else is to be done', async () => {
  const control = new Scripted(one);
  const { reconcile } = reconciler(control);
  const told: ServerCommand[] = [];
  let has = two.sections;
  const { capabilities } = control.runtime;
  control.leaves = () => ({
    running: { sections: has },
    capabilities,
    leaving: [],
    started: null,
    health: async () => new Map(),
    downBackends: async () => new Set<string>(),
    observe: async () => new Map(),
    acceptObserved() {},
    applyCommands: async (commands, { sections }) => {
      told.push(...serverCommands(commands));
      // The first time what was planned has become wrong meanwhile.
      if (told.length === 1) return { kind: 'superseded' };
      has = sections;
      return { kind: 'applied', tookMs: 0 };
    },
  });
  assert.deepEqual(await reconcile(one), { kind: 'noop' });
  assert.deepEqual(
    told.map(({ action, server }) => `${action} ${server}`),
    ['remove b', 'remove b'],
  );
  assert.deepEqual(control.sent, [], 'the one that serves has it already');
});

test('servers of a service that is quarantined follow their source, and are not taken back when it is tried again', async () => {
  const control = new Scripted(one);
  const { reconcile, apart, pass } = reconciler(control);
  const refused = ({ sections }: Rendered): Rendered => ({
    sections: sections.map((each) => (each.kind === 'backend' ? { ...each, text: `${each.text}    bad\n` } : each)),
  });
  control.refuses = 'bad';
  // Once its reload was refused, what is left to do is for another look.
  assert.equal((await reconcile(refused(one))).kind, 'postponed');
  assert.equal((await reconcile(refused(one))).kind, 'noop');
  assert.deepEqual(
    apart().map(({ service }) => service),
    ['web'],
  );
  assert.equal((await reconcile(refused(two))).kind, 'runtime', 'they get it no other try');
  assert.deepEqual(
    control.sent.map(({ action, server }) => `${action} ${server}`),
    ['add b', 'ready b'],
  );
  assert.deepEqual(control.running.sections, two.sections);
  for (const tries of [1, 2, 3]) {
    pass(30_000);
    await reconcile(refused(two));
    assert.equal(control.sent.length, 2, `${tries} tries`);
  }
  assert.equal(apart()[0]?.since, 0, 'it is the same fault all the time');
  control.refuses = null;
  pass(30_000);
  assert.equal((await reconcile(refused(two))).kind, 'reload');
  assert.deepEqual(apart(), []);
});

test('while the servers of a service in quarantine follow their source, the other services stay as they are', async () => {
  const db = splitSections('frontend db:in\n    bind :5432\n    default_backend db\nbackend db\n', 'db');
  const bad = ({ sections }: Rendered): Rendered => ({
    sections: [...sections.map((each) => ({ ...each, text: `${each.text}    bad\n` })), ...db],
  });
  const control = new Scripted({ sections: [...one.sections, ...db] });
  const { reconcile } = reconciler(control);
  control.refuses = 'bad';
  await reconcile(bad(one));
  await reconcile(bad(one));
  assert.equal((await reconcile(bad(two))).kind, 'runtime');
  assert.deepEqual(control.running.sections, [...two.sections, ...db]);
});

test('all backends are looked at within verifyInterval, a hundred at once', async () => {
  const names = Array.from({ length: 250 }, (_, at) => `s${at}`);
  const text = names.map((name) => `backend ${name}\n    server a 10.0.0.1:80 weight 1\n`).join('');
  const control = new Scripted({ sections: splitSections(text, 'web') });
  const { changes, pass } = reconciler(control);
  while ((changes.nextVerification ?? 0) <= 0) await changes.verify();
  control.asked = [];
  for (let ms = 0; ms < 10_000; ms += 100) {
    pass(100);
    const before = control.asked.length;
    await changes.verify();
    assert.ok(control.asked.length - before <= 100);
  }
  assert.deepEqual(new Set(control.asked), new Set(names));
  assert.ok(control.asked.length < 600, `${control.asked.length} questions`);
});

function reconciler(control: Scripted, mode: 'repair' | 'report' = 'repair', overrides: Overrides = new Map()) {
  let now = 0;
  const drift: ServerDrift[] = [];
  const changes = new RuntimeUpdater(control, {
    now: () => now,
    verify: () => ({ verifyInterval: 10_000, drift: mode }),
    report: (happening) => drift.push(...serverDrift(happening.drift)),
  });
  const made = new Reconciler(
    control,
    changes,
    () => overrides,
    () => now,
  );
  return {
    changes,
    drift,
    apart: () => made.quarantined,
    pass(ms: number) {
      now += ms;
    },
    async reconcile(rendered: Rendered): Promise<Result> {
      return made.reconcile(
        { rendered: { ...rendered, problems: [] }, requested: [], onMeanwhile() {}, onReload() {} },
        never,
      );
    },
  };
}

/** One that runs what it is told to have, and whose replies are as the test wants them. */
class Scripted extends ScriptedDriver {
  override readonly version = version;
  override running: Running;
  /** The unexpected reply to the first command of a plan; null: all is well. */
  does: (commands: readonly ServerCommand[]) => string | null = () => null;
  /** What it has whatever it is told. */
  stays: Rendered | null = null;
  isSilent = false;
  /** A reload to sections with this text is refused. */
  refuses: string | null = null;
  /** Commands are executed, but not answered. */
  isLate = false;
  /** They are neither. */
  isDeaf = false;
  sent: ServerCommand[] = [];
  asked: string[] = [];
  /** A process that was told to leave. */
  leaves: (() => Runtime) | null = null;
  /** `srv_admin_state` of servers where it is not 0. */
  readonly states = new Map<string, string>();
  #has: readonly Section[];

  constructor({ sections }: Rendered) {
    super();
    this.running = { sections, generation: 1, since: 0, process: null };
    this.#has = sections;
  }

  override get followers(): readonly Runtime[] {
    return this.leaves === null ? [] : [this.leaves()];
  }

  override get runtime(): Runtime {
    return {
      capabilities: capabilitiesOf(version),
      leaving: [],
      started: null,
      health: async () => new Map(),
      downBackends: async () => new Set<string>(),
      observe: async (owners) => {
        if (this.isSilent) throw new AppError('MYELIN_SOCKET_FAILED', 'no answer');
        const its = owners.filter((owner) => owner.startsWith('backend '));
        const seen = new Map(its.map((owner) => [owner, seenServers(this.#rows(backendOf(owner)))]));
        return new Map([['server', seen]]);
      },
      acceptObserved: ({ sections }) => this.run(sections),
      applyCommands: (commands, desired) => this.#applyCommands(commands, desired),
      running: this.running,
    };
  }

  /** Whatever Myelin believes. */
  has({ sections }: Rendered): void {
    this.#has = sections;
  }

  override async apply(wanted: Rendered, plan: Plan): Promise<Outcome> {
    if (plan.kind !== 'reload') return this.#applyCommands(plan.kind === 'runtime' ? plan.commands : [], wanted);
    const outcome = await super.apply(wanted, plan);
    if (outcome.kind === 'applied') {
      this.stays = null;
      this.#has = wanted.sections;
    }
    return outcome;
  }

  async #applyCommands(all: readonly RuntimeCommand[], { sections }: Rendered): Promise<CommandOutcome> {
    const commands = serverCommands(all);
    this.sent.push(...commands);
    const [command] = commands;
    if (command !== undefined) {
      if (this.isLate || this.isDeaf) {
        if (this.isLate) this.#has = sections;
        return { kind: 'failed', error: new AppError('MYELIN_SOCKET_FAILED', 'no answer'), problems: [] };
      }
      const reply = this.does(commands);
      if (reply !== null) return { kind: 'unexpected', replies: [{ kind: 'unexpected', command, reply }] };
      this.#has = this.stays?.sections ?? sections;
    }
    this.run(sections);
    return { kind: 'applied', tookMs: 0 };
  }

  override async check({ sections }: Rendered): Promise<readonly Problem[]> {
    const isRefused = this.refuses !== null && textOf(sections).includes(this.refuses);
    return isRefused ? [{ message: 'no', service: 'web' }] : [];
  }

  #rows(backend: string): readonly ServerStateRow[] {
    this.asked.push(backend);
    const rows = this.#has
      .filter(({ name }) => name === backend)
      .flatMap(serverLines)
      .map(
        ({ name, address, port, words }) =>
          `${backend} ${name} ${address} ${port} ${words[4]} ${this.states.get(name) ?? 0} -\n`,
      );
    const fields = 'be_name srv_name srv_addr srv_port srv_uweight srv_admin_state srv_fqdn';
    return parseServersState(`1\n# ${fields}\n${rows.join('')}`).rows;
  }
}

test('a process that leaves, and so has no new clients, is told of servers and not of certificates', async () => {
  const certificate = (text: string): Section => ({ kind: 'certificate', name: '/certs/a.pem', text, service: null });
  const ca = (text: string): Section => ({ kind: 'ca-file', name: '/certs/public.ca-file', text, service: null });
  const control = new Scripted({ sections: [...one.sections, certificate('new\n'), ca('new\n')] });
  const { reconcile } = reconciler(control);
  const told: RuntimeCommand[] = [];
  let has: readonly Section[] = [...two.sections, certificate('old\n'), ca('old\n')];
  const { capabilities } = control.runtime;
  control.leaves = () => ({
    running: { sections: has },
    capabilities,
    leaving: [],
    started: null,
    health: async () => new Map(),
    downBackends: async () => new Set<string>(),
    observe: async () => new Map(),
    acceptObserved() {},
    applyCommands: async (commands, { sections }) => {
      told.push(...commands);
      has = sections;
      return { kind: 'applied', tookMs: 0 };
    },
  });
  const desired = { sections: control.running.sections };
  assert.deepEqual(await reconcile(desired), { kind: 'noop' });
  assert.deepEqual(
    told.map(({ kind, action }) => `${kind} ${action}`),
    ['server remove'],
  );
  assert.deepEqual(await reconcile(desired), { kind: 'noop' });
  assert.equal(told.length, 1, 'and of nothing again');
});
