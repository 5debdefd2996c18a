/** Frontends that go while HAProxy runs, and those that somebody has disabled. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { classify } from '../../../../src/haproxy/resources/frontends/commands.ts';
import { frontends } from '../../../../src/haproxy/resources/frontends/index.ts';
import { partsOf } from '../../../../src/haproxy/resources/frontends/parts.ts';
import { findDrift, type SeenFrontend } from '../../../../src/haproxy/resources/frontends/read-back.ts';
import { say } from '../../../../src/haproxy/resources/index.ts';
import type { RuntimeState } from '../../../../src/haproxy/resources/resource.ts';
import { splitSections } from '../../../../src/haproxy/text/text.ts';
import type { Plan, Rendered, Section } from '../../../../src/model.ts';
import { planChange, planMeanwhile } from '../../../../src/plan/plan.ts';
import { version } from '../../../support/values/render.ts';

function service(name: string, bind: string, server = '10.0.0.1:80'): readonly Section[] {
  const frontend = `frontend ${name}:in\n    bind ${bind}\n    default_backend ${name}\n`;
  return splitSections(`${frontend}backend ${name}\n    server a ${server} weight 1\n`, name);
}

function file(...sections: readonly (readonly Section[])[]): Rendered {
  return { sections: [...splitSections('defaults\n    mode http\n'), ...sections.flat()] };
}

function on(text: string, more: Partial<RuntimeState['capabilities']> = {}): RuntimeState {
  return { capabilities: { ...capabilitiesOf(version(text)), ...more }, leaving: [], started: null };
}

function linesOf(plan: Plan): readonly string[] {
  return plan.kind === 'runtime' ? plan.commands.flatMap(say) : assert.fail(JSON.stringify(plan));
}

function reasonsOf(plan: Plan): string {
  const reasons = plan.kind === 'reload' ? plan.reasons : assert.fail(plan.kind);
  return reasons.map(({ code, section, detail }) => `${code} ${section}: ${detail}`).join('\n');
}

const [web, db] = [service('web', ':80'), service('db', ':81')];
const removal = ['disable frontend db:in', 'shutdown frontend db:in'];

function seen(said: Readonly<Record<string, SeenFrontend['said']>>): ReadonlyMap<string, SeenFrontend> {
  return new Map(Object.entries(said).map(([name, its]) => [`frontend ${name}`, { said: its }]));
}

describe('a plan for a service with an address of its own that goes', () => {
  for (const branch of ['2.2.9', '2.6.12', '3.4.7'])
    it(`is commands on HAProxy ${branch}: its backend stays, and its servers leave once nobody is connected`, () => {
      const plan = planChange(file(web, db), file(web), on(branch));
      assert.deepEqual(linesOf(plan), removal);
      const retire = plan.kind === 'runtime' ? plan.commands.find(({ kind }) => kind === 'backend') : undefined;
      assert.ok(retire?.kind === 'backend' && retire.action === 'retire', JSON.stringify(retire));
      assert.deepEqual(
        retire.serving.map(({ server, isServing, frontends: its }) => [server, isServing, its]),
        [['a', true, ['db:in']]],
      );
    });

  it('leaves the backend, where the service keeps that', () => {
    const kept = db.filter(({ kind }) => kind === 'backend');
    assert.deepEqual(linesOf(planChange(file(web, db), file(web, kept), on('2.6.12'))), removal);
  });

  it('is a reload that says why not', () => {
    const why = (running: Rendered, desired: Rendered, process = on('2.6.12')) =>
      reasonsOf(planChange(running, desired, process));
    assert.match(
      why(file(web, db), file(web), on('2.6.12', { frontends: false })),
      /^capability_missing frontend db:in: shutdown frontend, on HAProxy 2.6.12$/m,
    );
    for (const bind of ['/run/db.sock', 'quic4@:443', 'fd@7', '${DB}'])
      assert.match(
        why(file(web, service('db', bind)), file(web)),
        /^proxy_removed frontend db:in: it listens at more/m,
      );
    assert.match(why(file(db), file()), /^proxy_removed frontend db:in: nothing else listens$/m);
    const hand = splitSections('frontend hand\n    http-request deny if { fe_conn(db:in) gt 1 }\n');
    assert.match(why(file(web, hand, db), file(web, hand)), /^proxy_removed frontend db:in: it is named elsewhere$/m);
    const shared = splitSections('frontend hand\n    use_backend db if TRUE\n');
    assert.match(why(file(web, shared, db), file(web, shared)), /^proxy_removed backend db: it is named elsewhere$/m);
    const mine = splitSections('frontend mine\n    bind :82\n');
    assert.match(why(file(web, mine), file(web)), /^proxy_removed frontend mine: removed$/m, 'nobody’s is not touched');
    const hidden = splitSections('.if defined(X)\n', 'db').concat(db, splitSections('.endif\n', 'db'));
    assert.match(why(file(web, hidden), file(web)), /proxy_removed frontend db:in/);
  });

  it('waits for the reload where another section will listen at its port', () => {
    for (const bind of [':81', '127.0.0.1:81', ':::70-90 v4v6', '${X}']) {
      const desired = file(web, service('other', bind));
      assert.equal(planMeanwhile(file(web, db), desired, on('3.4.7')), null, bind);
    }
    const meanwhile = planMeanwhile(file(web, db), file(web, service('other', ':82')), on('2.6.12'));
    assert.deepEqual(meanwhile?.commands.flatMap(say), removal);
    assert.deepEqual(meanwhile?.desired.sections, file(web).sections);
  });
});

describe('a frontend that is read back', () => {
  const running = file(web, db);

  it('is found where it listens no more, and enabled; one that HAProxy does not show is a reload', () => {
    const found = findDrift(running, seen({ 'web:in': 'listens', 'db:in': 'disabled' }));
    assert.deepEqual(
      found.findings.map(({ what, drift }) => [what, drift]),
      [['disabled of db:in', { frontend: 'db:in', kind: 'disabled', detail: '' }]],
    );
    assert.deepEqual(linesOf(planChange(found.running, running, on('2.6.12'))), ['enable frontend db:in']);
    // It is enabled before a reload that it needs anyway, removed where it is not wanted, and found right afterwards.
    const changed = file(web, service('db', ':82'));
    assert.deepEqual(planMeanwhile(found.running, changed, on('2.6.12'))?.commands.flatMap(say), [
      'enable frontend db:in',
    ]);
    assert.deepEqual(linesOf(planChange(found.running, file(web), on('2.6.12'))), removal);
    assert.deepEqual(findDrift(found.running, seen({ 'db:in': 'listens' })).running, running);

    const missing = findDrift(running, seen({ 'db:in': 'missing' }));
    assert.match(reasonsOf(planChange(missing.running, running, on('2.6.12'))), /proxy_added frontend db:in/);
  });

  it('is one of a service, or shared by services; not what HAProxy may leave out', () => {
    const owners = (...its: readonly (readonly Section[])[]) => [...partsOf(file(...its)).keys()];
    const map: Section = { kind: 'map', name: '/x.map', text: '', service: null };
    const shared = splitSections('frontend public\n    use_backend %[path,map(/x.map)]\nfrontend hand\n    bind :9\n');
    assert.deepEqual(owners(web, shared, [map]), ['frontend web:in', 'frontend public']);
    assert.deepEqual(owners(web, splitSections('.if defined(X)\n'), db), ['frontend web:in']);
    assert.deepEqual(owners(web, splitSections('frontend db:in\n    disabled\n', 'db')), ['frontend web:in']);
    assert.deepEqual(owners(splitSections('defaults\n    disabled\n'), web), []);
  });
});

describe('a command about a frontend', () => {
  it('is done where it was done before; any other answer is none', () => {
    const remove = { kind: 'frontend', action: 'remove', frontend: 'db:in' } as const;
    const done = [
      ['', ''],
      ['Frontend was previously shut down, cannot disable.', 'Frontend was already shut down.'],
      ['All sockets are already disabled.', ''],
      ['Frontend is already disabled.', ''],
    ];
    for (const replies of done) assert.equal(classify(remove, replies).kind, 'done', replies.join());
    for (const replies of [
      [''],
      ['No such frontend.', ''],
      ['Failed to pause frontend, check logs for precise cause.', ''],
    ])
      assert.equal(classify(remove, replies).kind, 'unexpected', replies.join());
    const enable = { ...remove, action: 'enable' } as const;
    assert.equal(classify(enable, ['All sockets are already enabled.']).kind, 'done');
    assert.equal(classify(enable, ['Frontend was previously shut down, cannot enable.']).kind, 'unexpected');
    const { capabilities } = on('2.6.12');
    assert.equal(frontends.learn(capabilities, remove, 'Permission denied').frontends, false);
    assert.equal(frontends.learn(capabilities, remove, 'No such frontend.'), capabilities);
  });
});
