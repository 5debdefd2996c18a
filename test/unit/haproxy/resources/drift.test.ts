/** What is found when servers are read back, and what leads back to what is wanted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { capabilitiesOf } from '../../../../src/haproxy/binary/capabilities.ts';
import { parseVersion } from '../../../../src/haproxy/binary/version.ts';
import { parseServersState, type ServerStateRow } from '../../../../src/haproxy/cli/info.ts';
import { splitSections } from '../../../../src/haproxy/text/text.ts';
import type { LeavingServer, Section } from '../../../../src/model.ts';
import { findDrift, type Observed, planChange } from '../../../support/values/plans.ts';

const version = parseVersion('2.6.12') ?? assert.fail();
const capabilities = capabilitiesOf(version);

const web = (...lines: readonly string[]): readonly Section[] =>
  splitSections(`backend web\n${lines.map((line) => `    ${line}\n`).join('')}`, 'web');

const wanted = web('balance roundrobin', 'server a 10.0.0.1:80 weight 1 check', 'server b 10.0.0.2:80 weight 5 check');

type Found = {
  readonly name: string;
  readonly place?: string;
  readonly weight?: number;
  readonly admin?: number;
  readonly fqdn?: string;
};

const rows = (...found: readonly Found[]): readonly ServerStateRow[] =>
  parseServersState(
    `1\n# be_name srv_name srv_addr srv_port srv_uweight srv_admin_state srv_fqdn\n${found
      .map(
        ({ name, place = `10.0.0.${name === 'a' ? 1 : 2} 80`, weight = name === 'a' ? 1 : 5, admin = 0, fqdn = '-' }) =>
          `web ${name} ${place} ${weight} ${admin} ${fqdn}\n`,
      )
      .join('')}`,
  ).rows;

const observed = (servers: readonly ServerStateRow[], more: Partial<Observed> = {}): Observed => ({
  servers: new Map([['web', servers]]),
  leaving: [],
  unsettled: new Set(),
  ...more,
});

const kinds = (running: readonly Section[], seen: Observed): readonly string[] =>
  findDrift(running, seen).drift.map(({ kind, server, detail }) => `${kind} ${server} ${detail}`.trim());

test('servers that are what they should be are no drift, and the sections stay the same', () => {
  const finding = findDrift(wanted, observed(rows({ name: 'a' }, { name: 'b' })));
  assert.deepEqual([finding.drift, finding.leaving], [[], []]);
  assert.equal(finding.sections[0], wanted[0]);
});

test('a server that takes another number of connections at once is led back to the limit of its line by one command', () => {
  const limited = web('balance roundrobin', 'server a 10.0.0.1:80 maxconn 5', 'server b 10.0.0.2:80 weight 5');
  const its = rows({ name: 'a' }, { name: 'b' });
  const with_ = (a: number, b: number): Observed => {
    const limits = new Map(Object.entries({ 'web/a': a, 'web/b': b }).filter(([, limit]) => limit > 0));
    return observed(its, { limits });
  };
  assert.deepEqual(kinds(limited, with_(5, 0)), []);
  assert.deepEqual(kinds(limited, observed(its)), [], 'it was not asked for');
  for (const [a, b, found] of [
    [4, 0, ['maxconn a 4']],
    [0, 0, ['maxconn a 0']],
    [5, 9, ['maxconn b 9']],
  ] as const) {
    const seen = with_(a, b);
    assert.deepEqual(kinds(limited, seen), found);
    const { sections } = findDrift(limited, seen);
    const plan = planChange(sections, limited, { capabilities, leaving: [], started: limited, forced: [] });
    const server = b === 0 ? 'a' : 'b';
    assert.deepEqual(plan, {
      kind: 'runtime',
      commands: [{ kind: 'server', action: 'maxconn', backend: 'web', server, maxconn: b === 0 ? 5 : 0 }],
    });
  }
  const combined = web('server a 10.0.0.1:80 maxconn 5 minconn 2', 'server b 10.0.0.2:80 weight 5');
  assert.deepEqual(kinds(combined, with_(3, 0)), [], 'of two numbers HAProxy makes what it likes');
});

test('what differs is named: address, weight, state, what is missing and what should not be there', () => {
  const seen = rows({ name: 'a', place: '10.0.0.9 81' }, { name: 'c', place: '10.0.0.3 80', weight: 1 });
  assert.deepEqual(kinds(wanted, observed(seen)), ['address a 10.0.0.9:81', 'missing b', 'extra c']);
  const states = rows({ name: 'a', admin: 1 }, { name: 'b', admin: 8, weight: 7 });
  assert.deepEqual(kinds(wanted, observed(states)), ['state a maint', 'weight b 7', 'state b drain']);
});

test('from what was found, a plan leads back to what is wanted', () => {
  const seen = rows({ name: 'b', place: '2001:db8::1 81', weight: 9 }, { name: 'c', place: '10.0.0.3 80' });
  const { sections } = findDrift(wanted, observed(seen));
  const plan = planChange(sections, wanted, { forced: [], capabilities, leaving: [], started: wanted });
  assert.ok(plan.kind === 'runtime', JSON.stringify(plan));
  assert.deepEqual(plan.commands.map(({ action, server }) => `${action} ${server}`).sort(), [
    'add a',
    're-address b',
    'ready a',
    'remove c',
    'weight b',
  ]);
});

test('maintenance and draining by hand, and what takes a server out that is to be out, are taken back', () => {
  const lines = web('server a 10.0.0.1:80 weight 1', 'server b 10.0.0.2:80 weight 5 disabled # by hand');
  for (const [seen, commands] of [
    [rows({ name: 'a' }, { name: 'b', admin: 5 }), []],
    [rows({ name: 'a', admin: 1 }, { name: 'b', admin: 5 }), ['ready a']],
    [rows({ name: 'a', admin: 8 }, { name: 'b', admin: 1 }), ['ready a']],
    [rows({ name: 'a', admin: 8 }, { name: 'b' }), ['ready a', 'maint b']],
    [rows({ name: 'a' }, { name: 'b', admin: 8, weight: 6 }), ['weight b', 'maint b']],
  ] as const) {
    const { sections } = findDrift(lines, observed(seen));
    const plan = planChange(sections, lines, { forced: [], capabilities, leaving: [], started: lines });
    const sent = plan.kind === 'runtime' ? plan.commands.map(({ action, server }) => `${action} ${server}`) : [];
    assert.deepEqual(sent, commands);
  }
});

test('a server in maintenance that is not wanted is on its way out, and no drift', () => {
  const seen = rows({ name: 'a' }, { name: 'b' }, { name: 'c', admin: 1 });
  const { drift, leaving } = findDrift(wanted, observed(seen));
  assert.deepEqual(drift, []);
  assert.deepEqual(
    leaving.map((each) => each.kind === 'server' && `${each.backend}/${each.server}`),
    ['web/c'],
  );
  const known: readonly LeavingServer[] = [{ kind: 'server', backend: 'web', server: 'c', options: [] }];
  assert.deepEqual(findDrift(wanted, observed(seen, { leaving: known })).leaving, []);
});

test('an address that was just changed may take a moment', () => {
  const seen = rows({ name: 'a', place: '10.0.0.9 81' }, { name: 'b' });
  assert.deepEqual(kinds(wanted, observed(seen, { unsettled: new Set(['web/a']) })), []);
});

test('weight and state that an agent on the server sets are its own', () => {
  const agent = web('server a 10.0.0.1:80 weight 1 check agent-check agent-port 9');
  assert.deepEqual(kinds(agent, observed(rows({ name: 'a', weight: 40, admin: 8 }))), []);
});

test('an agent undoes neither maintenance nor draining: both are set right again', () => {
  const draining = web('server a 10.0.0.1:80 weight 0 check agent-check agent-port 9');
  assert.deepEqual(kinds(draining, observed(rows({ name: 'a', weight: 40 }))), ['weight a 40']);
  const out = web('server a 10.0.0.1:80 weight 1 agent-check agent-port 9 disabled');
  const { sections, drift } = findDrift(out, observed(rows({ name: 'a' })));
  assert.deepEqual(
    drift.map(({ kind, detail }) => `${kind} ${detail}`),
    ['state ready'],
  );
  assert.deepEqual(planChange(sections, out, { forced: [], capabilities, leaving: [], started: out }), {
    kind: 'runtime',
    commands: [{ kind: 'server', action: 'maint', backend: 'web', server: 'a', hasAgent: true }],
  });
});

test('a server whose name HAProxy resolves is left to HAProxy', () => {
  const lines = web('server a 10.0.0.1:80 weight 1', 'server b db.internal:80 weight 5');
  const seen = rows({ name: 'a' }, { name: 'b', place: '10.9.9.9 80', fqdn: 'db.internal' });
  assert.deepEqual(kinds(lines, observed(seen)), []);
});

test('a server that its line takes out of service stays out', () => {
  const lines = web('server a 10.0.0.1:80 weight 1 disabled', 'server b 10.0.0.2:80 weight 5');
  // As HAProxy says after a start from that line, and after a command.
  for (const admin of [5, 1]) assert.deepEqual(kinds(lines, observed(rows({ name: 'a', admin }, { name: 'b' }))), []);
});

test('equal addresses in another spelling are equal', () => {
  const lines = web('server a [2001:DB8:0::1]:80 weight 1');
  assert.deepEqual(kinds(lines, observed(rows({ name: 'a', place: '2001:db8::1 80' }))), []);
});

test('hand-written backends and constructs that are not modelled are left alone', () => {
  const seen = observed(rows({ name: 'x' }));
  assert.deepEqual(kinds(splitSections('backend web\n    server a 10.0.0.1:80\n'), seen), []);
  assert.deepEqual(kinds(web('server-template t 1-3 10.0.0.1:80', 'server a 10.0.0.1:80'), seen), []);
});

test('whatever is found, the sections that it makes say just that', () => {
  const place = fc.constantFrom('10.0.0.1 80', '10.0.0.2 80', '10.0.0.9 81', '2001:db8::1 8080');
  const server = fc.record({ place, weight: fc.integer({ min: 0, max: 256 }) });
  const option = fc.constantFrom(
    '',
    ' check',
    ' check inter 2s',
    ' check # weight 9',
    ' cookie "a#b"',
    ' backup weight 7',
  );
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), server),
      fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.tuple(server, option)),
      (found, expected) => {
        const lines = Object.entries(expected).map(([name, [{ place, weight }, own]]) => {
          const [address = '', port] = place.split(' ');
          return `server ${name} ${address.includes(':') ? `[${address}]` : address}:${port} weight ${weight}${own}`;
        });
        const seen = observed(rows(...Object.entries(found).map(([name, each]) => ({ name, ...each }))));
        const { sections } = findDrift(web(...lines), seen);
        assert.deepEqual(kinds(sections, seen), []);
      },
    ),
    { numRuns: 500 },
  );
});
