/** What of a difference goes over the runtime API, in which commands, and why the rest does not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf, learn } from '../../../../src/haproxy/binary/capabilities.ts';
import { reloadOnly } from '../../../../src/haproxy/resources/servers/plan/reload-only.ts';
import { emptyBackend } from '../../../../src/haproxy/text/attribution.ts';
import { serverId } from '../../../../src/haproxy/text/servers/server-id.ts';
import { splitSections } from '../../../../src/haproxy/text/text.ts';
import type { LeavingServer, Section, ServerCommand } from '../../../../src/model.ts';
import { cpuMs } from '../../../support/index.ts';
import { planChange, planMeanwhile, planReload, type ServerPlan } from '../../../support/values/plans.ts';
import { version } from '../../../support/values/render.ts';

const base = `
global
    maxconn 100
defaults
    mode http
    default-server inter 5s
frontend web:in
    bind :80
    default_backend web
backend web
    balance roundrobin
    default-server check port 8080
    server a 10.0.0.1:80 weight 1
    server b 10.0.0.2:80 weight 1
backend db
    mode tcp
    server a 10.0.1.1:5432 weight 100
backend hand
    server a 10.0.2.1:80
listen both
    bind :81
    server a 10.0.3.1:80
`;

const ours = new Set(['web', 'db', 'both']);

/** The backends of `ours` are rendered for a service; the others are hand-written. */
function sectionsOf(text: string): readonly Section[] {
  return splitSections(text).map((section) => ({ ...section, service: ours.has(section.name) ? section.name : null }));
}

type Given = {
  readonly on?: string;
  readonly leaving?: readonly LeavingServer[];
  readonly started?: readonly Section[];
  readonly from?: string;
};

function runtime({ on = '2.6.12', leaving = [], started }: Given) {
  return { capabilities: capabilitiesOf(version(on)), leaving, started: started ?? null };
}

function planned(to: string, given: Given = {}): ServerPlan {
  const { from = base } = given;
  return planChange(sectionsOf(from), sectionsOf(to), { forced: [], ...runtime(given) });
}

function commandsFor(to: string, given: Given = {}): readonly ServerCommand[] {
  const plan = planned(to, given);
  assert.equal(plan.kind, 'runtime', JSON.stringify(plan));
  return plan.kind === 'runtime' ? plan.commands : [];
}

/** `code section: detail` of each. */
function reasonsFor(to: string, given: Given = {}): readonly string[] {
  const plan = planned(to, given);
  assert.equal(plan.kind, 'reload', JSON.stringify(plan));
  if (plan.kind !== 'reload') return [];
  return plan.reasons.map(({ code, section, detail }) => `${code} ${section}: ${detail}`);
}

function changed(from: string | RegExp, to: string, text = base): string {
  const other = text.replace(from, to);
  assert.notEqual(other, text);
  return other;
}

const added = '    server b 10.0.0.2:80 weight 1\n    server c 10.0.0.3:81 weight 7\n';
const withC = changed('    server b 10.0.0.2:80 weight 1\n', added);
const withoutB = changed('    server b 10.0.0.2:80 weight 1\n', '');

test('a new server is added with all that default-server gives it, with an id of its own, and then made ready', () => {
  const it = { backend: 'web', server: 'c' };
  const spelled = ['inter', '5s', 'check', 'port', '8080', 'id', `${serverId('c', new Set())}`];
  const pool = ['pool-purge-delay', '5s', 'pool-max-conn', '-1', 'error-limit', '10', 'on-error', 'fail-check'];
  const add = {
    ...it,
    kind: 'server',
    action: 'add',
    address: '10.0.0.3',
    port: 81,
    weight: 7,
    checks: ['health'],
    dynamicCookie: false,
  };
  assert.deepEqual(commandsFor(withC), [
    { ...add, options: [...pool, ...spelled] },
    { ...it, kind: 'server', action: 'ready' },
  ]);
  assert.deepEqual(commandsFor(withC, { on: '3.0.11' }), [
    { ...add, options: spelled },
    { ...it, kind: 'server', action: 'ready' },
  ]);
});

test('a server that is gone leaves, with the options by which it may come back', () => {
  assert.deepEqual(commandsFor(withoutB), [
    {
      backend: 'web',
      server: 'b',
      kind: 'server',
      action: 'remove',
      options: ['inter', '5s', 'check', 'port', '8080'],
    },
  ]);
});

test('another address, port or weight is one command each, and draining is weight 0 alone', () => {
  const it = { backend: 'web', server: 'b' };
  assert.deepEqual(commandsFor(changed('10.0.0.2:80 weight 1', '[2001:db8::1]:81 weight 0')), [
    { ...it, kind: 'server', action: 're-address', address: '2001:db8::1', port: 81, isChecked: true },
    { ...it, kind: 'server', action: 'weight', weight: 0 },
  ]);
});

test('lines in another order, comments and blanks need nothing', () => {
  const servers = /( {4}server a 10.0.0.1.*\n)( {4}server b.*\n)/;
  assert.deepEqual(planned(changed(servers, '    # two\n$2\n$1')), { kind: 'none' });
});

test('servers come before others go, and weights rise before others fall', () => {
  const text = changed(/ {4}server b .*\n/, '    server c 10.0.0.3:80 weight 5\n    server d 10.0.0.4:80 weight 0\n');
  const from = changed(/ {4}server b .*\n/, '$&    server c 10.0.0.3:80 weight 0\n');
  const commands = commandsFor(changed('10.0.0.1:80 weight 1', '10.0.0.1:80 weight 0', text), { from });
  assert.deepEqual(
    commands.map(({ action, server }) => `${action} ${server}`),
    ['add d', 'ready d', 'weight c', 'weight a', 'remove b'],
  );
});

test('a server that comes back while it leaves is not added a second time', () => {
  const [remove] = commandsFor(withoutB);
  assert.ok(remove?.action === 'remove');
  const back = changed('    server a 10.0.0.1', '    server b 10.0.0.9:99 weight 3\n    server a 10.0.0.1', withoutB);
  const it = { backend: 'web', server: 'b' };
  const expected = [
    { ...it, kind: 'server', action: 're-address', address: '10.0.0.9', port: 99 },
    { ...it, kind: 'server', action: 'weight', weight: 3 },
    { ...it, kind: 'server', action: 'ready' },
  ];
  assert.deepEqual(commandsFor(back, { from: withoutB, leaving: [remove] }), expected);
  // Also where servers cannot be added.
  assert.deepEqual(commandsFor(back, { from: withoutB, leaving: [remove], on: '2.2.9' }), expected);
  assert.deepEqual(reasonsFor(back, { from: withoutB, leaving: [{ ...remove, options: ['check'] }] }), [
    'server_changed backend web: b, which still leaves, with other options',
  ]);
});

test('a draining server that comes back gets its weight before it is ready', () => {
  const kinds = (commands: readonly ServerCommand[]) => commands.map(({ action }) => action);
  const leaving = [{ kind: 'server', backend: 'db', server: 'b', options: ['inter', '5s'] }] as const;
  const to = changed('weight 100\n', 'weight 1\n    server b 10.0.1.2:5432 weight 50\n');
  assert.deepEqual(kinds(commandsFor(to, { leaving })), ['re-address', 'weight', 'ready', 'weight']);
});

test('servers of hand-written sections and of listen sections are never commanded', () => {
  assert.deepEqual(reasonsFor(changed('10.0.2.1:80', '10.0.2.9:80')), ['server_changed backend hand: a']);
  assert.deepEqual(reasonsFor(changed('10.0.3.1:80', '10.0.3.9:80')), ['server_changed listen both: a']);
});

test('a backend that changes hands is not commanded', () => {
  const wanted = sectionsOf(withC).map((section) =>
    section.name === 'web' ? { ...section, service: 'shop' } : section,
  );
  assert.equal(planChange(sectionsOf(base), wanted, { forced: [], ...runtime({}) }).kind, 'reload');
});

test('structure is a reload, and the servers that change with it are no reason', () => {
  assert.deepEqual(reasonsFor(changed('balance roundrobin', 'balance leastconn', withC)), [
    'option_changed backend web: balance',
  ]);
  assert.deepEqual(reasonsFor(changed('bind :80', 'bind :82', withC)), ['bind_changed frontend web:in: :82, :80']);
  assert.deepEqual(reasonsFor(changed('default-server check', 'default-server no-check check')), [
    'option_changed backend web: default-server',
  ]);
});

test('what a version lacks is named', () => {
  assert.deepEqual(reasonsFor(withC, { on: '2.2.9' }), [
    'capability_missing backend web: add server, on HAProxy 2.2.9',
  ]);
  assert.deepEqual(reasonsFor(withC, { on: '2.4.22' }), ['keyword_not_dynamic backend web: inter']);
  const cookies = base.replace(/server (.) 10\.0\.0.*/g, '$& cookie $1');
  const to = changed('    server b', '    server c 10.0.0.3:80 weight 1 cookie c\n    server b', cookies);
  assert.deepEqual(reasonsFor(to, { from: cookies }), ['keyword_not_dynamic backend web: cookie']);
  assert.equal(commandsFor(to, { from: cookies, on: '3.0.11' }).length, 2);
});

test('what a version takes and gets wrong is a reload', () => {
  const added = (options: string, on: string, backend = ''): readonly string[] => {
    const from = base.replace('default-server check', `${backend}default-server ${options}`);
    const plan = planned(changed('    server b', '    server c 10.0.0.3:80 weight 1\n    server b', from), {
      from,
      on,
    });
    return plan.kind === 'reload' ? plan.reasons.map(({ code, detail }) => `${code}: ${detail}`) : [plan.kind];
  };
  assert.deepEqual(added('proto h2', '2.8.3'), ['keyword_not_dynamic: proto']);
  assert.deepEqual(added('ssl verify none alpn h2,http/1.1', '2.6.12'), ['keyword_not_dynamic: alpn h2']);
  assert.deepEqual(added('ssl verify none alpn http/1.1', '2.6.12'), ['runtime']);
  assert.deepEqual(added('ssl verify none alpn h2 proto h2', '3.0.11'), ['runtime']);
  const external = 'option external-check\n    external-check command /bin/true\n    ';
  for (const on of ['2.6.12', '3.2.26'])
    assert.deepEqual(added('check', on, external), [
      `capability_missing: add server with external checks, on HAProxy ${on}`,
    ]);
  assert.deepEqual(added('inter 5s', '3.2.26', external), ['runtime']);
  for (const [on, isSound] of [
    ['3.0.11', true],
    ['3.2.5', true],
    ['3.2.6', false],
    ['3.2.18-1', false],
    ['3.2.19', true],
  ] as const)
    assert.deepEqual(
      added('check', on, 'balance leastconn\n    '),
      isSound ? ['runtime'] : [`capability_missing: add server with leastconn, on HAProxy ${on}`],
    );
});

test('with static balancing servers move, drain and leave at runtime, and come back as what they were', () => {
  const from = base.replace('balance roundrobin', 'balance source');
  const started = sectionsOf(from);
  const reason = ['balance_not_dynamic backend web: source, hash-type map-based'];
  const other = (to: string): string => to.replace('balance roundrobin', 'balance source');
  const weighing = (weight: number): string => changed('10.0.0.2:80 weight 1', `10.0.0.2:80 weight ${weight}`, from);
  assert.deepEqual(reasonsFor(other(withC), { from }), reason);
  assert.deepEqual(reasonsFor(weighing(2), { from, started }), reason);
  assert.equal(commandsFor(changed('10.0.0.2:80', '10.0.0.9:80', from), { from })[0]?.action, 're-address');
  const it = { backend: 'web', server: 'b' };
  assert.deepEqual(commandsFor(weighing(0), { from }), [{ ...it, kind: 'server', action: 'weight', weight: 0 }]);
  assert.deepEqual(commandsFor(from, { from: weighing(0), started }), [
    { ...it, kind: 'server', action: 'weight', weight: 1 },
  ]);
  // Started without a weight it has none to go back to, and of a process that was found nobody knows.
  assert.deepEqual(reasonsFor(from, { from: weighing(0), started: sectionsOf(weighing(0)) }), reason);
  assert.deepEqual(reasonsFor(from, { from: weighing(0) }), reason);

  const [remove, ...more] = commandsFor(other(withoutB), { from });
  assert.ok(remove?.action === 'remove' && more.length === 0);
  const back = { from: other(withoutB), leaving: [remove] };
  assert.deepEqual(
    commandsFor(from, { ...back, started }).map(({ action }) => action),
    ['re-address', 'weight', 'ready'],
  );
  // A hash over a map goes by the order.
  const servers = /( {4}server a 10.0.0.1.*\n)( {4}server b.*\n)/;
  const swapped = changed(servers, '$2$1', from);
  assert.deepEqual(reasonsFor(swapped, { ...back, started }), reason);
  assert.deepEqual(reasonsFor(swapped, { from }), ['option_changed backend web: order']);
});

test('whether a balancing is dynamic is known from all that holds for the backend', () => {
  for (const [section, line] of [
    ['balance', 'balance roundrobin\n    hash-type consistent'],
    ['defaults', 'balance roundrobin'],
  ] as const) {
    const consistent = base
      .replace(
        'balance roundrobin',
        section === 'balance' ? 'balance uri\n    hash-type consistent' : 'balance hdr(host)',
      )
      .replace(
        '    mode http\n',
        section === 'defaults' ? '    mode http\n    hash-type consistent\n' : '    mode http\n',
      );
    const to = changed('    server b 10.0.0.2:80 weight 1\n', added, consistent);
    assert.equal(commandsFor(to, { from: consistent })[0]?.action, 'add', line);
  }
});

test('where the order of the servers counts, it is kept', () => {
  const from = base.replace('balance roundrobin', 'balance first');
  const other = (to: string): string => to.replace('balance roundrobin', 'balance first');
  assert.deepEqual(reasonsFor(other(withC), { from }), [
    'balance_not_dynamic backend web: first, which goes by the order',
  ]);
  assert.equal(commandsFor(other(withoutB), { from })[0]?.action, 'remove');
  const servers = /( {4}server a 10.0.0.1.*\n)( {4}server b.*\n)/;
  assert.deepEqual(reasonsFor(changed(servers, '$2$1', from), { from }), ['option_changed backend web: order']);
});

test('a backup server is added at runtime where it comes last, as only the first one that is up is used', () => {
  const backups = (...names: readonly string[]): string =>
    base.replace(
      '    server b 10.0.0.2:80 weight 1\n',
      names.map((name) => `    server ${name} 10.0.0.9:80 weight 1 backup\n`).join(''),
    );
  const order = ['balance_not_dynamic backend web: backup, which goes by the order'];
  assert.equal(commandsFor(backups('k', 'z'), { from: backups('k') })[0]?.action, 'add');
  assert.deepEqual(reasonsFor(backups('c', 'k'), { from: backups('k') }), order);
  assert.deepEqual(reasonsFor(backups('z', 'k'), { from: backups('k', 'z') }), ['option_changed backend web: order']);
  // One that still leaves stands where it stood, wherever that is.
  const [remove] = commandsFor(backups('k'), { from: backups('k', 'z') });
  assert.ok(remove?.action === 'remove');
  assert.deepEqual(reasonsFor(backups('k', 'z'), { from: backups('k'), leaving: [remove] }), order);
  const all = (text: string): string => text.replace('    default-server check', '    option allbackups\n$&');
  assert.equal(commandsFor(all(backups('c', 'k')), { from: all(backups('k')) })[0]?.action, 'add');
});

test('how many connections a server takes at once is a command, alone or with its address, weight and presence', () => {
  const limited = changed('10.0.0.2:80 weight 1', '10.0.0.2:80 weight 1 maxconn 5');
  const b = { kind: 'server', backend: 'web', server: 'b' } as const;
  const maxconn = (number: number) => ({ ...b, action: 'maxconn', maxconn: number }) as const;
  assert.deepEqual(commandsFor(limited), [maxconn(5)], 'also where no server had a limit');
  assert.deepEqual(commandsFor(changed('maxconn 5', 'maxconn 7', limited), { from: limited }), [maxconn(7)]);
  assert.deepEqual(commandsFor(base, { from: limited }), [maxconn(0)], 'no limit');
  const moved = changed('10.0.0.2:80 weight 1', '10.0.0.9:81 weight 2 maxconn 5 disabled');
  assert.deepEqual(
    commandsFor(moved).map(({ action }) => action),
    ['re-address', 'maxconn', 'weight', 'maint'],
  );
  const added = commandsFor(changed('weight 7', 'weight 7 maxconn 5', withC))[0];
  assert.ok(added?.action === 'add');
  assert.match(
    added.options.join(' '),
    /\bmaxconn 5 minconn 5\b/,
    'alone it would let nobody through on some versions',
  );
});

test('where `set maxconn server` can hang HAProxy a changed limit waits for a reload', () => {
  const limited = changed('weight 7', 'weight 7 maxconn 5', withC);
  const to = changed('maxconn 5', 'maxconn 6', limited);
  const [remove] = commandsFor(base, { from: limited });
  assert.ok(remove?.action === 'remove');
  for (const [on, isSafe] of [
    ['2.2.14', false],
    ['2.2.15', true],
    ['2.4.0', false],
    ['2.4.1', true],
    ['2.6.0', true],
    ['3.4.7', true],
  ] as const) {
    const missing = [`capability_missing backend web: set maxconn server, on HAProxy ${on}`];
    for (const given of [{ from: limited }, { leaving: [remove] }])
      if (isSafe) assert.equal(planned(to, { on, ...given }).kind, 'runtime', on);
      else assert.deepEqual(reasonsFor(to, { on, ...given }), missing);
  }
});

test('a server that comes back before it is gone gets the limit that is wanted by now', () => {
  const limited = changed('weight 7', 'weight 7 maxconn 5', withC);
  const [remove] = commandsFor(base, { from: limited });
  assert.ok(remove?.action === 'remove');
  const actions = (to: string): readonly string[] =>
    commandsFor(to, { leaving: [remove] }).map((command) =>
      command.action === 'maxconn' ? `maxconn ${command.maxconn}` : command.action,
    );
  assert.deepEqual(actions(limited), ['re-address', 'weight', 'ready']);
  assert.deepEqual(actions(changed('maxconn 5', 'maxconn 6', limited)), ['re-address', 'weight', 'maxconn 6', 'ready']);
  assert.deepEqual(actions(withC), ['re-address', 'weight', 'maxconn 0', 'ready']);
});

test('a limit that HAProxy makes of two numbers, or of no plain one, is an option like others', () => {
  const b = '10.0.0.2:80 weight 1';
  for (const [from, to] of [
    ['maxconn 5 minconn 2', 'maxconn 6 minconn 2'],
    ['maxconn 5', 'maxconn 5 minconn 2'],
    ['maxconn 5x', 'maxconn 6'],
  ] as const)
    assert.deepEqual(
      reasonsFor(changed(b, `${b} ${to}`), { from: changed(b, `${b} ${from}`) }),
      ['server_changed backend web: b'],
      `${from} → ${to}`,
    );
});

test('options that haproxy -c has not seen are structure; those of a neighbour, or of the start, are not', () => {
  assert.deepEqual(reasonsFor(changed('weight 7', 'weight 7 maxqueue 5', withC)), ['options_unproven backend web: c']);
  assert.deepEqual(reasonsFor(changed('10.0.0.2:80 weight 1', '10.0.0.2:80 weight 1 backup')), [
    'server_changed backend web: b',
  ]);
  const from = changed('10.0.0.2:80 weight 1', '10.0.0.2:80 weight 1 maxqueue 5');
  const to = changed('10.0.0.2:80 weight 1 maxqueue 5', '10.0.0.3:80 weight 7 maxqueue 5', from).replace(
    'server b',
    'server a 10.0.0.1:80 weight 1\n    server c',
  );
  const twice = to.replace(/ {4}server a 10.0.0.1:80 weight 1\n/, '');
  assert.equal(commandsFor(twice, { from })[0]?.action, 'add');
  // An id is no option of its own: the first server of a consistent hash has one like all others.
  const none = changed(/ {4}server [ab] 10\.0\.0.*\n {4}server [ab] 10\.0\.0.*\n/, '');
  assert.equal(
    commandsFor(changed('port 8080\n', 'port 8080\n    server c 10.0.0.3:80 id 7\n', none), { from: none })[0]?.action,
    'add',
  );
  // Every server that had them is gone meanwhile.
  const empty = changed(/ {4}server [ab] 10\.0\.0.*\n {4}server [ab] 10\.0\.0.*\n/, '', from);
  assert.deepEqual(reasonsFor(twice, { from: empty }), ['options_unproven backend web: c']);
  assert.equal(commandsFor(twice, { from: empty, started: sectionsOf(from) })[0]?.action, 'add');
  const other = sectionsOf(from.replace('default-server check', 'default-server'));
  assert.deepEqual(reasonsFor(twice, { from: empty, started: other }), ['options_unproven backend web: c']);
});

test('a construct that is not modelled is a reload', () => {
  const cases: readonly (readonly [line: string, detail: string])[] = [
    ['server-template s 3 10.0.0.9:80', 'server-template'],
    ['.if defined(X)\n    server x 10.0.0.8:80\n    .endif', '.if'],
    ['.if defined(X)\n    balance source\n    .endif', '.if'],
    ['default-server maxconn "$MAX"', 'default-server'],
    ['balance "$ALGORITHM"', 'balance'],
    ['server $x', 'server'],
  ];
  for (const [line, detail] of cases) {
    const insert = (text: string): string =>
      text.replace('    default-server check', `    ${line}\n    default-server check`);
    const to = insert(withC);
    assert.deepEqual(reasonsFor(to, { from: insert(base) }), [`backend_not_plain backend web: ${detail}`], line);
    assert.deepEqual(planned(insert(base), { from: insert(base) }), { kind: 'none' });
  }
  // What does not say how servers are may depend on anything.
  const harmless = (text: string): string => text.replace('    default-server check', `${conditional}$&`);
  const conditional = '    .if defined(X)\n    http-request deny\n    option httpclose\n    .endif\n';
  assert.equal(commandsFor(harmless(withC), { from: harmless(base) })[0]?.action, 'add');
  const within = (text: string): string => text.replace(/ {4}server a 10.0.0.1.*\n/, '.if defined(X)\n$&.endif\n');
  assert.deepEqual(
    reasonsFor(within(changed(/( {4}server a 10.*\n)( {4}server b.*\n)/, '$2$1')), { from: within(base) }),
    ['backend_not_plain backend web: .if'],
  );
  const surrounded = (text: string): string => text.replace('    bind :80', '    bind :80\n.if defined(X)');
  assert.deepEqual(reasonsFor(surrounded(withC), { from: surrounded(base) }), ['backend_not_plain backend web: .if']);
  assert.deepEqual(reasonsFor(changed('10.0.0.3:81', 'shop.example:81', withC)), [
    'backend_not_plain backend web: the address of server c',
  ]);
  assert.deepEqual(reasonsFor(changed('10.0.0.2:80 weight 1', 'unix@/run/x weight 1')), [
    'server_changed backend web: b',
  ]);
  const variable = (text: string): string => text.replace('10.0.0.1:80 weight 1', '"${A}:80" weight 1');
  assert.deepEqual(reasonsFor(variable(withC), { from: variable(base) }), [
    'backend_not_plain backend web: the line of server a',
  ]);
  const odd = (text: string): string => text.replace('default-server check', 'default-server mystery check');
  assert.deepEqual(reasonsFor(odd(withC), { from: odd(base) }), ['keyword_not_dynamic backend web: mystery']);
});

test('what makes each new server of a service a reload is known before the first one', () => {
  const of = (...lines: readonly string[]): readonly string[] => {
    const text = changed('    default-server check', `${lines.map((line) => `    ${line}\n`).join('')}$&`);
    return [...reloadOnly(sectionsOf(text))].map(([service, what]) => `${service}: ${what}`);
  };
  assert.deepEqual(of('http-request set-header x "quoted"', '.if defined(X)', 'http-request deny', '.endif'), []);
  assert.deepEqual(of('server-template s 3 10.0.0.9:80'), ['web: server-template']);
  assert.deepEqual(of('.if defined(X)', 'server s 10.0.0.9:80', '.endif'), ['web: .if']);
  assert.deepEqual(of('default-server maxconn "$MAX"'), ['web: default-server']);
  const many = Array.from({ length: 30 }, (_, at) => `maxconn ${at}`).join(' ');
  assert.deepEqual(of(`default-server ${many}`), ['web: more options than a runtime command holds']);
  const hand = changed('backend hand\n', 'backend hand\n    server-template s 3 10.0.0.9:80\n');
  assert.deepEqual([...reloadOnly(sectionsOf(hand))], []);
});

test('a server that is named elsewhere is not removed behind the back of the file', () => {
  for (const [where, line] of [
    ['\nbackend web\n', 'use-server b if { hdr(x) 1 }'],
    ['\nbackend web\n', 'http-request deny if { srv_is_up(b) }'],
    ['frontend web:in\n', 'http-request deny if { srv_conn(web/b) gt 5 }'],
    ['frontend web:in\n', 'http-request set-header x %[srv_queue(web/b)]'],
  ]) {
    const insert = (text: string): string => text.replace(where ?? '', `${where}    ${line}\n`);
    assert.deepEqual(
      reasonsFor(insert(withoutB), { from: insert(base) }),
      ['server_removed backend web: b, which is named elsewhere'],
      line,
    );
  }
  const elsewhere = (text: string): string =>
    text.replace('backend db\n', 'backend db\n    use-server b if { always_true }\n');
  assert.equal(commandsFor(elsewhere(withoutB), { from: elsewhere(base) }).length, 1);
});

test('what default-server undoes is undone, and names of resolvers say nothing about an address', () => {
  const from = base.replace('default-server check', 'default-server check ssl verify none no-check resolvers dns');
  const to = changed('    server b 10.0.0.2:80 weight 1\n', added, from);
  const [add] = commandsFor(to, { from, on: '3.2.0' });
  assert.ok(add?.action === 'add');
  assert.deepEqual(add.options.slice(0, -2), ['inter', '5s', 'ssl', 'verify', 'none', 'port', '8080']);
  assert.deepEqual(add.checks, []);
});

test('the check of an added server speaks as its traffic does', () => {
  const from = base.replace('default-server check port 8080', 'default-server check ssl verify none send-proxy-v2');
  const to = changed('    server b 10.0.0.2:80 weight 1\n', added, from);
  const [add] = commandsFor(to, { from, on: '3.2.0' });
  assert.ok(add?.action === 'add');
  assert.deepEqual(add.options.slice(-4, -2), ['check-ssl', 'check-send-proxy']);
});

test('defaults are taken by name where the backend names them', () => {
  const from = base
    .replace('defaults\n', 'defaults base\n    default-server rise 7\ndefaults next from base\n')
    .replace('frontend web:in', 'defaults other\n    default-server inter 9s\nfrontend web:in')
    .replace('\nbackend web\n', '\nbackend web from next\n');
  const [add] = commandsFor(changed('    server b 10.0.0.2:80 weight 1\n', added, from), { from, on: '3.2.0' });
  assert.ok(add?.action === 'add');
  assert.deepEqual(add.options.slice(0, 6), ['rise', '7', 'inter', '5s', 'check', 'port']);
});

test('cookies that are made up of addresses are asked for anew', () => {
  const from = base.replace(
    'balance roundrobin',
    'balance roundrobin\n    cookie S insert dynamic\n    dynamic-cookie-key k',
  );
  const [add] = commandsFor(changed('    server b 10.0.0.2:80 weight 1\n', added, from), { from });
  assert.ok(add?.action === 'add');
  assert.equal(add.dynamicCookie, true);
});

test('a hash over addresses does not follow a new address, so that is a reload', () => {
  const from = base.replace('default-server check', 'default-server hash-key addr check');
  assert.deepEqual(reasonsFor(changed('10.0.0.2:80', '10.0.0.9:80', from), { from, on: '3.2.0' }), [
    'keyword_not_dynamic backend web: hash-key',
  ]);
});

test('an agent has a share of the weight that its server was made with, so that another one is a reload, but for none', () => {
  const from = base.replace('default-server check', 'default-server agent-check check');
  const weighing = (weight: number): string => changed('10.0.0.2:80 weight 1', `10.0.0.2:80 weight ${weight}`, from);
  assert.deepEqual(reasonsFor(weighing(5), { from }), ['keyword_not_dynamic backend web: agent-check']);
  assert.deepEqual(commandsFor(weighing(0), { from }), [
    { backend: 'web', server: 'b', kind: 'server', action: 'weight', weight: 0, hasAgent: true },
  ]);
});

test('what a reply denies is not tried again', () => {
  const before = capabilitiesOf(version('3.0.11'));
  const plan = (capabilities: typeof before): ServerPlan =>
    planChange(sectionsOf(base), sectionsOf(withC), { forced: [], leaving: [], started: null, capabilities });
  assert.equal(plan(before).kind, 'runtime');
  const denied = learn(before, 'add', "'port' option is not accepted for dynamic server");
  assert.equal(plan(denied).kind, 'reload');
  assert.equal(plan(learn(before, 'add', "Unknown command: 'add', but maybe …")).kind, 'reload');
  assert.equal(learn(before, 'add', 'Already exists a server with the same name in backend.'), before);
});

test('forced reasons are a reload', () => {
  const forced = [{ code: 'operator_request' }] as const;
  assert.deepEqual(planChange(sectionsOf(base), sectionsOf(withC), { forced, ...runtime({}) }), {
    kind: 'reload',
    reasons: forced,
  });
});

test('while a reload waits, servers that can change at runtime do', () => {
  const wanted = changed('10.0.1.1:5432', '10.0.1.2:5432', changed('bind :80', 'bind :82', withC)).replace(
    'maxconn 100',
    'maxconn 200',
  );
  const meanwhile = planMeanwhile(sectionsOf(base), sectionsOf(wanted), runtime({}));
  assert.deepEqual(
    meanwhile?.commands.map(({ action, backend }) => `${action} ${backend}`),
    ['add web', 'ready web', 're-address db'],
  );
  const text = meanwhile?.sections.map((section) => section.text).join('');
  assert.equal(text, changed('10.0.1.1:5432', '10.0.1.2:5432', withC));
  // Those that cannot wait with it.
  assert.equal(
    planMeanwhile(sectionsOf(base), sectionsOf(changed('bind :80', 'bind :82', withC)), runtime({ on: '2.2.9' })),
    null,
  );
});

test('lines that are swapped or doubled are a reload also where servers change with them', () => {
  const rules = ['    http-request allow if x', '    http-request deny if y'] as const;
  const written = (...lines: readonly string[]) => changed('    default-server check', `${lines.join('\n')}\n$&`, base);
  const from = written(...rules);
  const other = (...lines: readonly string[]) =>
    changed('    server b', '    server c 10.0.0.3:80\n    server b', written(...lines));
  assert.deepEqual(reasonsFor(other(...rules.toReversed()), { from }), ['option_changed backend web: order']);
  assert.deepEqual(reasonsFor(other(...rules, rules[1]), { from }), ['option_changed backend web: http-request deny']);
  assert.deepEqual(reasonsFor(other(rules[1], rules[0], rules[0]), { from }), [
    'option_changed backend web: http-request allow',
  ]);
});

test('one server that needs a reload holds up no other', () => {
  const from = changed('10.0.0.1:80 weight 1', '10.0.0.1:80 weight 1 maxqueue 5');
  const to = changed('maxqueue 5', 'maxqueue 6', from)
    .replace('    server b 10.0.0.2:80 weight 1\n', '    server c 10.0.0.3:80 weight 7\n')
    .replace('backend db', 'backend db # moved');
  assert.deepEqual(reasonsFor(to, { from }), ['server_changed backend web: a']);
  const meanwhile = planMeanwhile(sectionsOf(from), sectionsOf(to), runtime({}));
  assert.deepEqual(
    meanwhile?.commands.map(({ action, server }) => `${action} ${server}`),
    ['add c', 'ready c', 'remove b'],
  );
  const servers = meanwhile?.sections.find(({ name }) => name === 'web')?.text.match(/server .*/g);
  assert.deepEqual(servers?.slice(1), ['server a 10.0.0.1:80 weight 1 maxqueue 5', 'server c 10.0.0.3:80 weight 7']);
});

test('a server that is elsewhere by now and can only be changed by a reload gets nothing where it was', () => {
  const to = changed('10.0.0.1:80 weight 1', '10.0.0.9:80 weight 1 maxqueue 6');
  const meanwhile = planMeanwhile(sectionsOf(base), sectionsOf(to), runtime({}));
  assert.deepEqual(meanwhile?.commands, [{ kind: 'server', action: 'maint', backend: 'web', server: 'a' }]);
  const running = meanwhile?.sections ?? [];
  assert.equal(
    running.map(({ text }) => text).join(''),
    changed('10.0.0.1:80 weight 1', '10.0.0.1:80 weight 1 disabled'),
  );
  assert.equal(planMeanwhile(running, sectionsOf(to), runtime({})), null, 'once is enough');
  assert.deepEqual(
    planMeanwhile(running, sectionsOf(base), runtime({}))?.commands.map(({ action }) => action),
    ['ready'],
    'unless it comes back',
  );
  const alone = changed('    server b 10.0.0.2:80 weight 1\n', '', base);
  const moved = changed('10.0.0.1:80 weight 1', '10.0.0.9:80 weight 1 maxqueue 6', alone);
  assert.equal(planMeanwhile(sectionsOf(alone), sectionsOf(moved), runtime({})), null, 'better there than nowhere');
});

test('a server with an option that is not known is not put where another `default-server` holds', () => {
  const web = (...lines: readonly string[]): string => `backend web\n${lines.map((line) => `    ${line}\n`).join('')}`;
  const [rule, shared] = ['http-request allow if { path_beg /public }', 'default-server check send-proxy'];
  const other = 'server b 10.0.0.2:80 weight 1';
  const from = web('server a 10.0.0.1:80 mystery', shared, rule, other);
  const to = web('server a 10.0.0.9:80 mystery', rule, shared, other);
  const meanwhile = planMeanwhile(sectionsOf(from), sectionsOf(to), runtime({}));
  assert.deepEqual(meanwhile?.commands, [{ kind: 'server', action: 'maint', backend: 'web', server: 'a' }]);
  assert.equal(
    meanwhile?.sections.map(({ text }) => text).join(''),
    web('server a 10.0.0.1:80 mystery disabled', shared, rule, other),
  );
});

test('a server whose weight has to wait for a reload goes to its new address at once', () => {
  const isStatic = (text: string): string => changed('balance roundrobin', 'balance source', text);
  const to = changed('10.0.0.1:80 weight 1', '10.0.0.9:80 weight 3 # three', isStatic(base));
  const given = runtime({});
  const meanwhile = planMeanwhile(sectionsOf(isStatic(base)), sectionsOf(to), given);
  assert.deepEqual(
    meanwhile?.commands.map(({ action, server }) => `${action} ${server}`),
    ['re-address a'],
  );
  const running = meanwhile?.sections ?? [];
  const text = changed('10.0.0.1:80 weight 1', '10.0.0.9:80 weight 3 weight 1 # three', isStatic(base));
  assert.equal(running.map((section) => section.text).join(''), text);
  assert.deepEqual(reasonsFor(to, { from: text }), ['balance_not_dynamic backend web: source, hash-type map-based']);
});

test('in the empty backend of a service that is quarantined no server gets anything', () => {
  const wanted = sectionsOf(changed('    balance', '    http-request deny unless LOCALHOST\n    balance')).map(
    (section) => (section.kind === 'backend' ? { ...section, queryKey: 'of web' } : section),
  );
  const running = wanted.map((section) =>
    section.kind === 'backend' && section.name === 'web' ? emptyBackend('web', 'http') : section,
  );
  assert.equal(planMeanwhile(running, wanted, runtime({})), null);
});

test('a server that stands in an .if of the new structure is not put into the old one', () => {
  const wanted = changed('server b 10.0.0.2:80', 'server a1 10.0.0.8:80', changed('roundrobin', 'leastconn')).replace(
    'backend db',
    '    .if 0\n    server c 10.0.0.3:80 weight 1\n    .endif\nbackend db',
  );
  assert.equal(planMeanwhile(sectionsOf(base), sectionsOf(wanted), runtime({})), null);
});

test('servers are numbered as the structure has them that they go into', () => {
  const hashed = changed('balance roundrobin', 'balance uri\n    hash-type consistent')
    .replace(/(server a 10.0.0.1:80 weight 1)/, '$1 id 1518383539')
    .replace(/(server b 10.0.0.2:80 weight 1)/, '$1 id 1468050682');
  const textOfWeb = (from: string, to: string): string =>
    planMeanwhile(sectionsOf(from), sectionsOf(to), runtime({}))?.sections.find(({ name }) => name === 'web')?.text ??
    '';
  const moved = (text: string): string =>
    changed('10.0.0.2:80 weight 1', '10.0.0.9:80 weight 0', text).replace(
      /server a .*/,
      '$&\n    server c 10.0.0.3:80 weight 1',
    );
  const serversIn = (text: string): readonly string[] => (text.match(/server [abc] .*/g) ?? []).toSorted();
  const [a, b, c] = serversIn(textOfWeb(hashed, moved(base)));
  assert.equal(a, 'server a 10.0.0.1:80 weight 1 id 1518383539');
  assert.equal(b, 'server b 10.0.0.9:80 weight 0 id 1468050682');
  assert.match(c ?? '', /^server c 10\.0\.0\.3:80 weight 1 id 1\d{9}$/, 'as it is there, and at the next start');
  const numbered = moved(hashed).replace(/(server c 10.0.0.3:80 weight 1)/, '$1 id 1185767313');
  assert.deepEqual(serversIn(textOfWeb(base, numbered)), [
    'server a 10.0.0.1:80 weight 1',
    'server b 10.0.0.9:80 weight 0',
    'server c 10.0.0.3:80 weight 1',
  ]);
});

test('a gone server that is named elsewhere is taken out and keeps its line, until it may go or comes back', () => {
  const rule = '    use-server b if { path /special }\n';
  const named = (text: string): string => changed('    default-server check', `${rule}$&`, text);
  const given = runtime({});
  const out = planMeanwhile(sectionsOf(named(base)), sectionsOf(named(withoutB)), given);
  assert.deepEqual(out?.commands, [{ kind: 'server', action: 'maint', backend: 'web', server: 'b' }]);
  const running = out?.sections ?? [];
  const text = changed('10.0.0.2:80 weight 1', '10.0.0.2:80 weight 1 disabled', named(base));
  assert.equal(running.map((section) => section.text).join(''), text);
  assert.equal(planMeanwhile(running, sectionsOf(named(withoutB)), given), null, 'once is enough');
  assert.deepEqual(commandsFor(changed('server b 10.0.0.2:80', 'server b 10.0.0.9:80', named(base)), { from: text }), [
    {
      kind: 'server',
      action: 're-address',
      backend: 'web',
      server: 'b',
      address: '10.0.0.9',
      port: 80,
      isChecked: true,
    },
    { kind: 'server', action: 'ready', backend: 'web', server: 'b' },
  ]);
  assert.equal(commandsFor(withoutB, { from: changed(rule, '', text) })[0]?.action, 'remove');
});

test('where a new server has to wait for the reload, those that are gone go at once', () => {
  const wanted = changed('server a 10.0.0.1:80 weight 1', 'server c 10.0.0.3:80 weight 1');
  const meanwhile = planMeanwhile(sectionsOf(base), sectionsOf(wanted), runtime({ on: '2.2.9' }));
  assert.deepEqual(
    meanwhile?.commands.map(({ action, server }) => `${action} ${server}`),
    ['remove a'],
  );
  assert.match(meanwhile?.sections.find(({ name }) => name === 'web')?.text ?? '', /server b/);
  // The last one stays: better a server that may be gone than none.
  const none = wanted.replace('    server b 10.0.0.2:80 weight 1\n', '');
  assert.equal(planMeanwhile(sectionsOf(base), sectionsOf(none), runtime({ on: '2.2.9' })), null);
  // And better one that drains.
  const draining = changed('10.0.0.2:80 weight 1', '10.0.0.2:80 weight 0', wanted);
  assert.deepEqual(
    planMeanwhile(sectionsOf(base), sectionsOf(draining), runtime({ on: '2.2.9' }))?.commands.map(
      ({ action }) => action,
    ),
    ['remove'],
  );
});

test('ids are stable, in range, and two servers of a backend never share one', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 1 }), (names) => {
      const taken = new Set<number>();
      for (const name of names) {
        const id = serverId(name, taken);
        assert.ok(id >= 2 ** 30 && id < 2 ** 31 && !taken.has(id));
        taken.add(id);
      }
      const [first = ''] = names;
      assert.equal(serverId(first, new Set()), serverId(first, new Set()));
      assert.notEqual(serverId(first, new Set([serverId(first, new Set())])), serverId(first, new Set()));
    }),
  );
});

test('the plan without a runtime API has every difference for a reason', () => {
  assert.deepEqual(planReload(sectionsOf(base), sectionsOf(withC), { forced: [] }), {
    kind: 'reload',
    reasons: [{ code: 'server_added', section: 'backend web', detail: 'c' }],
  });
});

test('one server among ten thousand services is planned in milliseconds, a thousand removed ones as well', () => {
  const sections = (of: (at: number) => string): readonly Section[] =>
    Array.from({ length: 10_000 }, (_, at) => {
      const name = `s${at}`;
      const lines = Array.from({ length: 10 }, (__, each) => `    server n${each} 10.0.0.1:80 weight 1\n`).join('');
      return { kind: 'backend', name, service: name, text: `backend ${name}\n    mode http\n${lines}${of(at)}` };
    });
  const running = sections(() => '');
  const once = (wanted: readonly Section[], from: readonly Section[]): number => {
    return cpuMs(() => assert.equal(planChange(from, wanted, { forced: [], ...runtime({}) }).kind, 'runtime'));
  };
  const [first] = sections((at) => (at === 5000 ? '    server x 10.0.0.9:80\n' : '')).slice(5000);
  assert.ok(first);
  const one = running.with(5000, first);
  const best = Math.min(...Array.from({ length: 10 }, () => once(one, running)));
  assert.ok(best < 20, `${best} ms for one`);
  const many = running.map((section, at) =>
    at % 10 === 0 ? { ...section, text: section.text.replace(/ {4}server n9.*\n/, '') } : section,
  );
  const all = Math.min(...Array.from({ length: 3 }, () => once(many, running)));
  assert.ok(all < 1000, `${all} ms for a thousand`);
});
