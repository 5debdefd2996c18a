import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { classify, say } from '../../../../src/haproxy/resources/backends/commands.ts';
import { findDrift, isUnpublished } from '../../../../src/haproxy/resources/backends/read-back.ts';
import { RemovedBackends } from '../../../../src/haproxy/resources/backends/removed-backends.ts';
import { say as sayAny } from '../../../../src/haproxy/resources/index.ts';
import type { RuntimeState } from '../../../../src/haproxy/resources/resource.ts';
import { RemovedServers } from '../../../../src/haproxy/resources/servers/removed-servers.ts';
import { optionSetOf } from '../../../../src/haproxy/text/layout/layout.ts';
import { splitSections } from '../../../../src/haproxy/text/text.ts';
import type { BackendCommand, LeavingBackend, Plan, Rendered, Section } from '../../../../src/model.ts';
import { planChange, planMeanwhile } from '../../../../src/plan/plan.ts';
import { version } from '../../../support/values/render.ts';

const shop = { kind: 'backend', backend: 'shop' } as const;

function backend(name: string, options = ['balance roundrobin'], servers = ['a']): readonly Section[] {
  const lines = [...options, ...servers.map((server) => `server ${server} 10.0.0.1:80 weight 1`)];
  const text = `backend ${name}\n${lines.map((line) => `    ${line}\n`).join('')}`;
  return splitSections(text, name).map((section) => ({ ...section, sharesOptions: true }));
}

function file(...backends: readonly (readonly Section[])[]): Rendered {
  const shared = splitSections('defaults\n    mode http\nfrontend in\n    bind :80\n');
  const routes = backends.flat().map(({ name }) => `${name}/ ${name}\n`);
  const map: Section = { kind: 'map', name: '/x.map', text: routes.join(''), service: null };
  return { sections: [...shared, ...backends.flat(), map] };
}

function on(text: string, more: Partial<RuntimeState> = {}): RuntimeState {
  return { capabilities: capabilitiesOf(version(text)), leaving: [], started: null, ...more };
}

function linesOf(plan: Plan): readonly string[] {
  return plan.kind === 'runtime' ? plan.commands.flatMap(sayAny) : assert.fail(JSON.stringify(plan));
}

function reasonsOf(plan: Plan): readonly string[] {
  return plan.kind === 'reload'
    ? plan.reasons.map(({ code, section, detail }) => `${code} ${section}: ${detail}`)
    : assert.fail(plan.kind);
}

const one = file(backend('one'));
const both = file(backend('one'), backend('two'));
const setOfOne = ((): string => {
  const its = optionSetOf(one.sections[2] ?? assert.fail(), one.sections);
  return 'set' in its ? its.set.name : assert.fail(its.because);
})();

describe('a plan for a backend that comes or goes', () => {
  it('is commands on HAProxy 3.4 where its options are those of one that runs', () => {
    const lines = linesOf(planChange(one, both, on('3.4.7')));
    assert.deepEqual(
      lines.map((line) => line.split(' ').slice(0, 3).join(' ')),
      ['add backend two', 'add server two/a', 'set server two/a', 'publish backend two', 'add map /x.map'],
    );
    assert.equal(lines[0], `add backend two from ${setOfOne}`);
    assert.deepEqual(linesOf(planChange(both, one, on('3.4.7'))).toSorted(), [
      'del map /x.map two/',
      'unpublish backend two',
    ]);
  });

  it('is a reload where HAProxy gives an option only to the backends that it starts with', () => {
    const compressing = (name: string) => backend(name, ['compression algo gzip']);
    const plan = planChange(file(compressing('one')), file(compressing('one'), compressing('two')), on('3.4.7'));
    assert.ok(reasonsOf(plan).includes('proxy_added backend two: `compression` takes effect when HAProxy starts'));
  });

  it('leaves its servers in service for the requests that it has; coming back, it keeps those that it is to have', () => {
    const plan = planChange(file(backend('one'), backend('two', undefined, ['a', 'b'])), one, on('3.4.7'));
    const unpublish = plan.kind === 'runtime' ? plan.commands.find(({ kind }) => kind === 'backend') : undefined;
    const serving = unpublish?.kind === 'backend' && unpublish.action === 'unpublish' ? unpublish.serving : [];
    assert.deepEqual(
      serving.map(({ server, isServing }) => [server, isServing]),
      [
        ['a', true],
        ['b', true],
      ],
    );
    const left: LeavingBackend = { kind: 'backend', backend: 'two', from: setOfOne };
    const lines = linesOf(planChange(one, both, on('3.4.7', { leaving: [left, ...serving] })));
    assert.ok(!lines.some((line) => line.startsWith('add server')), lines.join('\n'));
    assert.ok(
      lines.includes('set server two/a addr 10.0.0.1 port 80') && lines.includes('set server two/b state maint'),
    );
  });

  it('is a reload before 3.4 where it comes; one that goes is left without routes, and its servers leave', () => {
    assert.equal(planChange(one, both, on('3.2.0')).kind, 'reload');
    const plan = planChange(both, one, on('3.2.0'));
    assert.deepEqual(linesOf(plan), ['del map /x.map two/']);
    const commands = plan.kind === 'runtime' ? plan.commands : [];
    const retire = commands.find((command) => command.kind === 'backend') ?? assert.fail();
    const [removed, servers] = [new RemovedBackends(() => 0), new RemovedServers(() => 0)];
    for (const reaper of [removed, servers]) reaper.note(retire, { kind: 'done' }, capabilitiesOf(version('3.2.0')));
    const left = { kind: 'backend', backend: 'two', from: null, isPinned: true };
    assert.deepEqual([removed.list, removed.isDue], [[left], false]);
    assert.deepEqual(
      servers.list.map(({ server, isServing }) => [server, isServing]),
      [['a', true]],
    );
  });

  it('is a reload that names the options which the process does not know, or the line that keeps them from being shared', () => {
    const other = file(backend('one'), backend('two', ['balance leastconn']));
    assert.match(
      reasonsOf(planChange(one, other, on('3.4.7'))).join(),
      /options_unproven backend two: http-leastconn-/,
    );
    const table = file(backend('one'), backend('two', ['stick-table type ip size 1k']));
    assert.match(
      reasonsOf(planChange(one, table, on('3.4.7'))).join(),
      /proxy_added backend two: `stick-table` cannot/,
    );
  });

  it('knows the options that the process was started with and no backend has any more', () => {
    assert.equal(planChange(file(), one, on('3.4.7', { started: one.sections })).kind, 'runtime');
    assert.equal(planChange(file(), one, on('3.4.7', { started: file().sections })).kind, 'reload');
  });

  it('publishes one that still leaves, with the same options; with others it is a reload', () => {
    const left = (from: string | null): LeavingBackend => ({ kind: 'backend', backend: 'two', from });
    const back = planChange(one, both, on('3.4.7', { leaving: [left(setOfOne)] }));
    assert.ok(!linesOf(back).some((line) => line.startsWith('add backend')));
    assert.ok(linesOf(back).includes('publish backend two'));
    assert.match(reasonsOf(planChange(one, both, on('3.4.7', { leaving: [left(null)] }))).join(), /still leaves/);
  });

  it('is a reload where the name is that of another section already', () => {
    const hand = splitSections('backend two\n    balance roundrobin\n');
    const taken = (its: Rendered): Rendered => ({ sections: [...hand, ...its.sections] });
    assert.match(
      reasonsOf(planChange(taken(one), taken(both), on('3.4.7'))).join(),
      /proxy_added .*another section has/,
    );
  });

  it('leaves one alone that a rule leads to', () => {
    const named = (its: Rendered): Rendered => ({
      sections: [...its.sections, ...splitSections('frontend hand\n    use_backend two if TRUE\n')],
    });
    assert.match(reasonsOf(planChange(named(both), named(one), on('3.4.7'))).join(), /named elsewhere/);
    assert.equal(
      planChange(named(file(backend('two'), backend('one'))), named(file(backend('two'))), on('3.4.7')).kind,
      'runtime',
    );
  });

  it('leaves one alone that is named in whatever way HAProxy reads, since the file would not start without it', () => {
    const plan = (line: string) => {
      const hand = splitSections(`frontend hand\n    ${line}\n`);
      const within = (its: Rendered): Rendered => ({ sections: [...its.sections, ...hand] });
      return planChange(within(both), within(one), on('3.4.7')).kind;
    };
    for (const line of [
      'use_backend "two" if TRUE',
      "default_backend 'two'",
      'default_backend t\\x77o',
      'default_backend "${BACKEND}"',
      'use_backend %[str(two)]',
      'http-request track-sc0 src table two',
      'http-request deny if { src_http_req_rate("two") gt 9 }',
      'tcp-request session attach-srv two/a',
      'monitor fail if { nbsrv(two) lt 1 }',
    ])
      assert.equal(plan(line), 'reload', line);
    for (const line of ['use_backend twofold', 'acl two path /two', '# use_backend two', 'log-format "%[path] two"'])
      assert.equal(plan(line), 'runtime', line);
  });

  it('stays while what takes its place waits for a reload, since routes still lead to it', () => {
    const renamed = file(backend('one'), backend('new', ['balance leastconn']));
    const routes = (service: string): Section => {
      return { kind: 'map', name: '/x.map', text: `k/ ${service}\none/ one\n`, service: null };
    };
    const withRoutes = (its: Rendered, service: string): Rendered => {
      return { sections: [...its.sections.slice(0, -1), routes(service)] };
    };
    const [running, desired] = [withRoutes(both, 'two'), withRoutes(renamed, 'new')];
    assert.equal(planMeanwhile(running, desired, on('3.4.7')), null);
    const without = withRoutes(one, 'one');
    assert.ok(linesOf(planChange(running, without, on('3.4.7'))).includes('unpublish backend two'));
  });

  it('does not wait for the reload of others', () => {
    const all = { sections: [...both.sections, ...splitSections('frontend new\n    bind :81\n')] };
    const part = planMeanwhile(one, all, on('3.4.7')) ?? assert.fail();
    assert.deepEqual(
      part.desired.sections.map(({ name }) => name),
      ['', 'in', 'one', 'two', '/x.map'],
    );
    assert.ok(part.commands.flatMap(sayAny).includes('add map /x.map two/ two'));
    const stays = { sections: [...file(backend('two')).sections, ...all.sections.slice(-1)] };
    const less = planMeanwhile(one, stays, on('3.4.7')) ?? assert.fail();
    assert.deepEqual(
      less.desired.sections.map(({ name }) => name),
      ['', 'in', 'two', '/x.map'],
    );
    const unknown = { sections: [...file(backend('one'), backend('two', ['balance leastconn'])).sections] };
    assert.equal(planMeanwhile(one, unknown, on('3.4.7')), null, 'neither backend nor route');
  });
});

describe('replies to commands about backends', () => {
  const judged = (command: BackendCommand, ...replies: readonly string[]) => classify(command, replies).kind;
  it('are known to be good, to say that it is in use or pinned, or unexpected', () => {
    const add = { ...shop, action: 'add', from: 'x' } as const;
    assert.equal(judged(add, 'New backend registered.'), 'done');
    assert.equal(judged(add, 'New backend registered (no support for dynamic servers: static-rr)'), 'done');
    assert.equal(judged(add, "Cannot find default proxy 'x'."), 'unexpected');
    assert.equal(judged({ ...shop, action: 'publish' }, 'No such backend.'), 'unexpected');
    assert.equal(judged({ ...shop, action: 'unpublish', from: null, serving: [] }, 'No such backend.'), 'done');
    const remove = { ...shop, action: 'delete' } as const;
    assert.deepEqual(say(remove), ['unpublish backend shop', 'del backend shop']);
    const told = 'Backend unpublished.';
    assert.equal(judged(remove, told, 'Backend deleted.'), 'done');
    assert.equal(judged(remove, told, 'Backend still has attached streams on it.'), 'busy');
    const pinned = 'This proxy cannot be removed at runtime due to other configuration elements pointing to it.';
    assert.equal(judged(remove, told, pinned), 'pinned');
    assert.equal(judged(remove, told), 'unexpected');
  });
});

describe('backends that are read back', () => {
  it('are as they should be, or what is wrong is drift that commands put right', () => {
    const seen = new Map([
      ['backend one', { said: 'unpublished' as const }],
      ['backend two', { said: 'missing' as const }],
    ]);
    const { findings, running } = findDrift(both, seen);
    assert.deepEqual(
      findings.map(({ what }) => what),
      ['unpublished of one', 'missing of two'],
    );
    assert.deepEqual(
      running.sections.map(({ name }) => name),
      ['', 'in', 'one', '/x.map'],
    );
    assert.ok(running.sections.some(isUnpublished));
    const asDesired = new Map([['backend one', { said: 'published' as const }]]);
    assert.deepEqual(findDrift(one, asDesired).findings, []);
    const lines = linesOf(planChange(running, both, on('3.4.7', { started: both.sections })));
    assert.ok(lines.includes('publish backend one') && lines.includes(`add backend two from ${setOfOne}`));
  });
});

describe('RemovedBackends', () => {
  it('holds what was unpublished until it is deleted, back or pinned', () => {
    const removed = new RemovedBackends(() => 0);
    const unpublish = { ...shop, action: 'unpublish', from: 'x', serving: [] } as const;
    removed.note(unpublish, { kind: 'done' });
    assert.deepEqual(removed.toRecord, [{ ...shop, from: 'x' }]);
    assert.ok(removed.isDue);
    assert.ok(removed.isOutdated([{ ...shop, action: 'add', from: 'x' }], one));
    assert.ok(!removed.isOutdated([{ ...shop, action: 'publish' }], one));
    removed.note({ ...shop, action: 'delete' }, { kind: 'busy' });
    assert.ok(removed.isDue);
    removed.note({ ...shop, action: 'delete' }, { kind: 'pinned' });
    assert.ok(!removed.isDue);
    removed.note({ ...shop, action: 'publish' }, { kind: 'done' });
    assert.deepEqual(removed.list, []);
    assert.ok(removed.isOutdated([{ ...shop, action: 'publish' }], one), 'it is gone by now');
    removed.recall([{ ...shop, from: 'x' }]);
    assert.deepEqual(removed.list, [{ ...shop, from: 'x' }]);
  });

  it('deletes one without servers, unless it came back since HAProxy was asked', async () => {
    const removed = new RemovedBackends(() => 0);
    const unpublish = { ...shop, action: 'unpublish', from: 'x', serving: [] } as const;
    const ask = async (): Promise<string> =>
      ['Version: 3.4.7', 'Pid: 1', '', 'admin', "Can't find backend.", '', 'admin', ''].join('\n');
    removed.note(unpublish, { kind: 'done' });
    const [decide, later] = [await removed.look(ask, {}), await removed.look(ask, {})];
    assert.deepEqual(decide().commands, [{ ...shop, action: 'delete' }]);
    removed.note({ ...shop, action: 'publish' }, { kind: 'done' });
    assert.deepEqual(later().commands, []);
    removed.note(unpublish, { kind: 'done' });
    assert.deepEqual(later().commands, [], 'of what has left once more nothing is known');
  });
});
