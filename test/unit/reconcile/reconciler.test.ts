/** Which service is quarantined for what is refused, and what stands in its place. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { ManagedDriver, Outcome } from '../../../src/apply/driver.ts';
import { type KeptFiles, nothingKept } from '../../../src/apply/files/kept-files.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Plan, Problem, Rendered, Section } from '../../../src/model.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import type { Result } from '../../../src/reconcile/result.ts';
import type { Desired } from '../../../src/reconcile/rollout.ts';
import { RuntimeUpdater } from '../../../src/reconcile/runtime/runtime-updater.ts';
import type { VerifySettings } from '../../../src/reconcile/runtime/verifier.ts';
import { ScriptedDriver } from '../../support/models/scripted-driver.ts';

const never = new AbortController().signal;

test('a service that is refused is quarantined at the start, the others go live', async () => {
  const control = new Scripted(['db']);
  const reconciler = reconcilerOf(control);
  assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'reload');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'backend db']);
  assert.deepEqual(
    reconciler.quarantined.map(({ service }) => service),
    ['db'],
  );
});

test('where no service would be served, nothing is started', async () => {
  const control = new Scripted(['web', 'db']);
  const reconciler = reconcilerOf(control);
  for (const round of [1, 2]) {
    const result = await ended(reconciler, config('web', 'db'));
    assert.equal(result.kind, 'rejected');
    assert.equal(result.kind === 'rejected' && result.problems.length, 2);
    assert.equal(control.running, null, `round ${round}`);
  }
  control.refused = [];
  assert.equal((await ended(reconcilerOf(control), config('web', 'db'))).kind, 'reload');
});

test('where a HAProxy comes up before it is told anything, what it takes is planned anew', async () => {
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control);
  control.comesUp = config('web', 'db').sections;
  assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'postponed');
  assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'noop');
  assert.equal(control.tries, 1);
});

test('where HAProxy ends soon after each start from one structure, the last one that lived serves, and it is tried seldom', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  const crash = (): void => {
    const { sections = [], since = 0 } = control.running ?? {};
    control.crash = { sections, since, at: now };
    control.running = null;
  };
  const started = async (wanted: Rendered): Promise<string> => {
    const { kind } = await ended(reconciler, wanted);
    if (control.running !== null) control.running = { ...control.running, since: now };
    return `${kind} ${textOf(control).includes('new') ? 'new' : 'old'}`;
  };
  const old = config('web', 'db');
  const wanted = config('web', 'db new');
  assert.equal(await started(old), 'reload old');
  now += 60_000;
  assert.equal(await started(wanted), 'reload new');
  for (const times of [1, 2]) {
    now += 5000;
    crash();
    assert.equal(await started(wanted), 'reload new', `${times}`);
  }
  now += 5000;
  crash();
  assert.equal(await started(wanted), 'reload old', 'after the third time');
  now += 59_000;
  const result = await ended(reconciler, wanted);
  assert.match(result.kind === 'rejected' ? (result.problems[0]?.message ?? '') : '', /ended by itself 3 times/);
  now += 1000;
  assert.equal(await started(wanted), 'reload new', 'it gets another try');
  now += 5000;
  crash();
  assert.equal(await started(wanted), 'reload old');
  now += 119_000;
  assert.equal((await ended(reconciler, wanted)).kind, 'rejected', 'for twice as long');
  control.forced = [{ code: 'binary_changed' }];
  assert.equal(await started(wanted), 'reload new', 'nor does it wait for another executable');
  control.forced = [];
  now += 5000;
  crash();
  assert.equal(await started(wanted), 'reload old');
  assert.equal(await started(config('web', 'db newer')), 'reload new', 'another structure does not wait');
});

test('a service that is quarantined keeps its last good sections also when HAProxy has ended by itself', async () => {
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control);
  await ended(reconciler, config('web', 'db'));
  control.refusedText = 'new';
  await ended(reconciler, config('web', 'db new'));
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'frontend db:in', 'backend db']);
  control.running = null;
  assert.equal((await ended(reconciler, config('web', 'db new'))).kind, 'reload');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'frontend db:in', 'backend db']);
});

test('while nothing serves, a service whose last good sections are refused too does not keep the others from it', async () => {
  const control = new Scripted(['db'], config('web', 'db').sections);
  const reconciler = reconcilerOf(control);
  assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'reload');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'backend db']);
});

test('while something serves, a service whose last good sections are refused too is not emptied', async () => {
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control);
  await ended(reconciler, config('web', 'db'));
  control.refused = ['db'];
  assert.equal((await ended(reconciler, config('web', 'db new'))).kind, 'postponed');
  assert.equal((await ended(reconciler, config('web', 'db new'))).kind, 'noop');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'frontend db:in', 'backend db']);
});

test('where HAProxy ends while what is wanted is refused and is nobody’s fault, what was live serves again', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web', 'db'));
  control.refusedText = 'nonsense';
  const wanted = { sections: [...config('web', 'db').sections, ...splitSections('listen bad\n    mode nonsense\n')] };
  assert.equal((await ended(reconciler, wanted)).kind, 'rejected');
  control.running = null;
  control.refusedText = 'mode';
  const tries = control.tries;
  for (let round = 0; round < 10; round++) assert.equal((await ended(reconciler, wanted)).kind, 'rejected');
  assert.equal(control.tries, tries + 1, 'in vain it is tried seldom');
  now += 1500;
  control.refusedText = 'nonsense';
  assert.equal((await ended(reconciler, wanted)).kind, 'reload');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'frontend db:in', 'backend db']);
  assert.equal((await ended(reconciler, wanted)).kind, 'rejected');
  control.refusedText = null;
  now += 30_000;
  assert.equal((await ended(reconciler, wanted)).kind, 'reload');
  assert.equal(control.names.at(-1), 'listen bad');
});

test('a service whose trial has to wait for its reload asks for no other moment meanwhile', async () => {
  const control = new Scripted(['db']);
  let now = 0;
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web', 'db'));
  assert.equal(reconciler.nextRetry, 1000);
  now = 1000;
  control.freeAt = 5000;
  const result = await ended(reconciler, config('web', 'db'));
  assert.equal(result.kind === 'pending' && result.at, 5000);
  assert.equal(reconciler.nextRetry, null);
  now = 5000;
  await ended(reconciler, config('web', 'db'));
  assert.equal(reconciler.nextRetry, 7000, 'refused again, it waits twice as long');
});

test('a service whose template fails keeps its last good sections also when HAProxy has ended by itself', async () => {
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control);
  await ended(reconciler, config('web', 'db'));
  const faulty = [{ message: 'no such field', service: 'db', hasBackend: false }];
  await ended(reconciler, config('web', 'db empty'), faulty);
  control.running = null;
  assert.equal((await ended(reconciler, config('web', 'db empty'), faulty)).kind, 'reload');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'frontend db:in', 'backend db']);
});

test('a trial that has to wait for its reload is no cure', async () => {
  let now = 0;
  const control = new Scripted(['db']);
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web', 'db'));
  now = reconciler.nextRetry ?? 0;
  control.freeAt = now + 5000;
  assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'pending');
  assert.deepEqual(
    reconciler.quarantined.map(({ service }) => service),
    ['db'],
  );
  now = control.freeAt;
  control.refused = [];
  assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'reload');
  assert.deepEqual(reconciler.quarantined, []);
});

test('a trial that goes wrong for a reason that names nobody holds up no other service', async () => {
  let now = 0;
  const control = new Scripted(['db']);
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web', 'db'));
  now = reconciler.nextRetry ?? 0;
  control.refused = [];
  control.refusedText = 'frontend db:in';
  control.namesNobody = true;
  assert.equal((await ended(reconciler, config('web', 'db', 'shop'))).kind, 'reload');
  assert.ok(control.names.includes('frontend shop:in'), String(control.names));
  assert.ok((reconciler.nextRetry ?? 0) > now);
});

test('a service that the config has no more is quarantined no more', async () => {
  const control = new Scripted(['db']);
  const reconciler = reconcilerOf(control);
  await ended(reconciler, config('web', 'db'));
  assert.equal((await ended(reconciler, config('web'))).kind, 'reload');
  assert.deepEqual([reconciler.quarantined, reconciler.nextRetry], [[], null]);
});

test('that servers come and go gets a service that is quarantined no try before its time', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web', 'db'));
  control.refusedText = 'new';
  await ended(reconciler, config('web', 'db new'));
  const tries: number[] = [];
  for (let at = 0; at < 60_000; at += 200) {
    now = at;
    const before = control.tries;
    await ended(reconciler, config('web', `db new\n    server s${at} 10.0.0.1:80`));
    if (control.tries > before) tries.push(at);
  }
  assert.deepEqual(tries, [1000, 3000, 7000, 15_000, 31_000]);

  await ended(reconciler, config('web', 'db good'));
  assert.deepEqual(
    [reconciler.quarantined, control.names.length],
    [[], 4],
    'another structure has not to wait so long',
  );
});

test('what is refused and is nobody’s fault is known again whichever servers there are, and tried again less and less often', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web'));
  const shared = (at: number): Rendered => ({
    sections: [
      ...config(`web x\n    server s${at} 10.0.0.1:80`).sections,
      ...splitSections('listen bad\n    mode nonsense\n'),
    ],
  });
  control.refusedText = 'nonsense';
  const rounds: number[] = [];
  for (let at = 0; at < 40_000; at += 200) {
    now = at;
    const before = control.tries;
    const result = await ended(reconciler, shared(at));
    assert.equal(result.kind, 'rejected');
    if (control.tries > before) rounds.push(at);
  }
  assert.deepEqual(rounds, [0, 1000, 3000, 7000, 15_000, 31_000]);
  assert.deepEqual(reconciler.quarantined, [], 'no service is left out for it');
  control.refusedText = null;
  reconciler.retrySoon();
  now += 1000;
  assert.equal((await ended(reconciler, shared(0))).kind, 'reload', 'an edit is tried at once');
});

test('whose change is refused is found out by halves where nobody is named, and the others go live', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  const names = Array.from({ length: 16 }, (_, at) => `s${at}`);
  await ended(reconciler, config(...names));
  control.refusedText = 'guilty';
  control.namesNobody = true;
  const wanted = config(...names.map((name) => `${name} ${name === 's11' ? 'guilty' : 'changed'}`), 'more');
  for (let round = 0; round < 20 && control.changed < 16; round++) {
    await ended(reconciler, wanted);
    now = reconciler.nextRetry ?? now;
  }
  assert.equal(control.changed, 16, 'all others');
  assert.deepEqual(
    reconciler.quarantined.map(({ service }) => service),
    ['s11'],
  );
  assert.ok(control.tries < 50, `${control.tries} tries`);
});

test('a service that goes while others refer to it leaves an empty backend of its name, until nobody does', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  const hand = (line: string): readonly Section[] => splitSections(`frontend hand\n    mode http\n${line}`);
  const both = { sections: [...config('web', 'api').sections, ...hand('    use_backend api\n')] };
  await ended(reconciler, both);
  control.needs = 'api';
  const without = { sections: [...config('web changed').sections, ...hand('    use_backend api\n')] };
  assert.equal((await ended(reconciler, without)).kind, 'reload');
  assert.deepEqual(control.names, ['frontend web:in', 'backend web', 'frontend hand', 'backend api']);
  assert.match(control.running?.sections.at(-1)?.text ?? '', /^\n# Quarantined/);
  const [{ service, problems } = assert.fail('nobody is quarantined')] = reconciler.quarantined;
  assert.deepEqual(
    [service, problems[0]?.message],
    ['api', "Proxy 'hand': unable to find required use_backend: 'api'."],
  );

  control.needs = null;
  reconciler.retrySoon();
  now = reconciler.nextRetry ?? 0;
  assert.equal(
    (await ended(reconciler, { sections: [...config('web changed').sections, ...hand('')] })).kind,
    'reload',
  );
  assert.deepEqual([control.names, reconciler.quarantined], [['frontend web:in', 'backend web', 'frontend hand'], []]);
});

test('a service that would be refused as it runs stays quarantined until HAProxy would take it', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now);
  await ended(reconciler, config('web', 'db'));
  // As where its certificate is broken on disk.
  control.refused = ['db'];
  await ended(reconciler, config('web', 'db', 'new'));
  for (let round = 1; round <= 3; round++) {
    now = reconciler.nextRetry ?? assert.fail('no try is to come');
    assert.equal((await ended(reconciler, config('web', 'db'))).kind, 'noop');
    assert.deepEqual(
      reconciler.quarantined.map(({ service }) => service),
      ['db'],
      `round ${round}`,
    );
  }
  control.refused = [];
  now = reconciler.nextRetry ?? assert.fail('no try is to come');
  await ended(reconciler, config('web', 'db'));
  assert.deepEqual(reconciler.quarantined, []);
});

test('where what a service names on disk is broken, the others go live, and it keeps the copies until it is mended', async () => {
  let now = 0;
  const control = new Scripted([]);
  const reconciler = reconcilerOf(control, () => now, copies);
  await ended(reconciler, config('web crt FILE', 'db'));
  control.refusedText = 'FILE';
  assert.equal((await ended(reconciler, config('web crt FILE', 'db', 'new'))).kind, 'reload');
  assert.match(textOf(control), /crt COPY\nfrontend db.*backend new/s);
  assert.deepEqual(
    reconciler.quarantined.map(({ service }) => service),
    ['web'],
  );
  // What else changes goes live at once, and each try of it costs the others nothing.
  await ended(reconciler, config('web crt FILE', 'db changed', 'new'));
  assert.match(textOf(control), /crt COPY\nfrontend db.*changed/s);
  now = reconciler.nextRetry ?? assert.fail('no try is to come');
  await ended(reconciler, config('web crt FILE', 'db changed', 'new'));
  assert.equal((await ended(reconciler, config('web crt FILE', 'db changed', 'new'))).kind, 'noop');
  assert.equal(reconciler.quarantined.length, 1);
  control.refusedText = null;
  now = reconciler.nextRetry ?? assert.fail('no try is to come');
  assert.equal((await ended(reconciler, config('web crt FILE', 'db changed', 'new'))).kind, 'reload');
  assert.match(textOf(control), /crt FILE/);
  assert.deepEqual(reconciler.quarantined, []);
});

test('where nothing serves, a service is started with the copies of what is broken, and is empty where there are none', async () => {
  const before = config('web crt FILE', 'db').sections;
  for (const [kept, wanted] of [
    [copies, /crt COPY/],
    [nothingKept, /Quarantined/],
  ] as const) {
    const control = new Scripted([], before);
    control.refusedText = 'FILE';
    await ended(reconcilerOf(control, undefined, kept), config('web crt FILE', 'db'));
    assert.match(textOf(control), wanted);
    assert.match(textOf(control), /backend db/);
  }
});

/** As if FILE had been copied. */
const copies: KeptFiles = {
  ...nothingKept,
  withCopies: (sections, service) =>
    sections.map((section) =>
      section.service === service && section.text.includes('FILE')
        ? { ...section, text: section.text.replace('FILE', 'COPY') }
        : section,
    ),
  areNamedBy: (sections) => sections.some(({ text }) => text.includes('COPY')),
};

function textOf({ running }: ManagedDriver): string {
  return (running?.sections ?? []).map(({ text }) => text).join('');
}

function reconcilerOf(control: ManagedDriver, now: () => number = () => 0, files?: KeptFiles): Reconciler {
  const verify = (): VerifySettings => ({ verifyInterval: 10_000, drift: 'repair' });
  const changes = new RuntimeUpdater(control, { now, verify, report() {} });
  return new Reconciler(control, changes, () => new Map(), now, undefined, files);
}

/** What it comes to, however long it takes. */
async function ended(
  reconciler: Reconciler,
  rendered: Rendered,
  problems: Desired['rendered']['problems'] = [],
): Promise<Result> {
  return reconciler.reconcile(
    { rendered: { ...rendered, problems }, requested: [], onMeanwhile() {}, onReload() {} },
    never,
  );
}

/** A frontend and a backend for each service; what follows the name is a comment in its backend. */
function config(...services: readonly string[]): Rendered {
  const sections = services.flatMap((service) => {
    const [name = '', ...rest] = service.split(' ');
    const comment = rest.join(' ');
    return splitSections(`frontend ${name}:in\n    mode http\nbackend ${name}\n    mode http ${comment}\n`, name);
  });
  return { sections };
}

/** A control that has an opinion of its own on the services, where HAProxy has one on their lines. */
class Scripted extends ScriptedDriver {
  /** How often it was to be reloaded. */
  tries = 0;
  /** Services whose frontends are refused. */
  refused: readonly string[];
  /** A backend that some hand-written line refers to. */
  needs: string | null = null;
  /** And whatever holds this. */
  refusedText: string | null = null;
  /** What somebody starts it with meanwhile. */
  comesUp: readonly Section[] | null = null;
  /** Whether it does not say whose fault that is. */
  namesNobody = false;

  constructor(refused: readonly string[], found: readonly Section[] | null = null) {
    super(found);
    this.refused = refused;
  }

  /** How many of those that run have changed. */
  get changed(): number {
    return (this.running?.sections ?? []).filter(({ text }) => /changed|backend more/.test(text)).length;
  }

  get names(): readonly string[] {
    return (this.running?.sections ?? []).map(({ kind, name }) => `${kind} ${name}`);
  }

  override async apply(wanted: Rendered, plan: Plan): Promise<Outcome> {
    if (plan.kind === 'reload') this.tries += 1;
    if (this.comesUp !== null) {
      this.running = { sections: this.comesUp, generation: 1, since: 0, process: null };
      this.comesUp = null;
      return { kind: 'superseded' };
    }
    return super.apply(wanted, plan);
  }

  override async check({ sections }: Rendered): Promise<readonly Problem[]> {
    const isThere = this.needs === null || sections.some(({ name }) => name === this.needs);
    if (!isThere)
      return [{ message: `Proxy 'hand': unable to find required use_backend: '${this.needs}'.`, service: null }];
    return sections.flatMap(({ kind, service, text }): Problem[] => {
      const isRefused = kind === 'frontend' && service !== null && this.refused.includes(service);
      const isTold = this.refusedText !== null && text.includes(this.refusedText);
      return isRefused || isTold ? [{ message: 'no', service: this.namesNobody ? null : service }] : [];
    });
  }
}
