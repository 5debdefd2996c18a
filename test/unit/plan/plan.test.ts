/** What a difference between two states of the file takes, and how it is told. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { ReloadReason, Section } from '../../../src/model.ts';
import { diff } from '../../../src/plan/printed-diff.ts';
import { cpuMs } from '../../support/index.ts';
import { planReload } from '../../support/values/plans.ts';

const base = `
global
    maxconn 100
defaults
    mode http
    timeout client 30s
frontend web:in
    bind :80
    bind :443 ssl crt /x.pem
    default_backend web
backend web
    balance roundrobin
    default-server check
    server a 10.0.0.1:80 weight 1
    server b 10.0.0.2:80 weight 1
userlist admins
    user eve password secret
`;

/** The reasons for the way from `base` to `base` with something replaced. */
function reasonsFor(from: string | RegExp, to: string): readonly ReloadReason[] {
  const wanted = base.replace(from, to);
  assert.notEqual(wanted, base);
  const plan = planReload(splitSections(base), splitSections(wanted), { forced: [] });
  return plan.kind === 'none' ? [] : plan.reasons;
}

test('a text that is the same needs nothing', () => {
  assert.deepEqual(planReload(splitSections(base), splitSections(base), { forced: [] }), { kind: 'none' });
});

test('comments, blank lines and indentation are no reason to reload', () => {
  const other = base
    .replace(/^backend web\n/m, '\n# the shop\nbackend web\n\n')
    .replace('    balance', '\tbalance')
    .replace('check', '"check" # tcp');
  assert.deepEqual(planReload(splitSections(base), splitSections(`# hello\n${other}# bye\n`), { forced: [] }), {
    kind: 'none',
  });
});

test('a reason names the section and what in it changed', () => {
  assert.deepEqual(reasonsFor('maxconn 100', 'maxconn 200'), [
    { code: 'global_changed', section: 'global', detail: 'maxconn' },
  ]);
  assert.deepEqual(reasonsFor('client 30s', 'client 60s'), [
    { code: 'defaults_changed', section: 'defaults', detail: 'timeout client' },
  ]);
  assert.deepEqual(reasonsFor('bind :80', 'bind :81'), [
    { code: 'bind_changed', section: 'frontend web:in', detail: ':81, :80' },
  ]);
  assert.deepEqual(reasonsFor('balance roundrobin', 'balance leastconn'), [
    { code: 'option_changed', section: 'backend web', detail: 'balance' },
  ]);
  assert.deepEqual(reasonsFor('    server b', '    server c 10.0.0.3:80 weight 1\n    server b'), [
    { code: 'server_added', section: 'backend web', detail: 'c' },
  ]);
  assert.deepEqual(reasonsFor(/ {4}server a.*\n/, ''), [
    { code: 'server_removed', section: 'backend web', detail: 'a' },
  ]);
  assert.deepEqual(reasonsFor('10.0.0.1:80 weight 1', '10.0.0.1:80 weight 0'), [
    { code: 'server_changed', section: 'backend web', detail: 'a' },
  ]);
  assert.deepEqual(reasonsFor('server a', 'server z'), [
    { code: 'server_added', section: 'backend web', detail: 'z' },
    { code: 'server_removed', section: 'backend web', detail: 'a' },
  ]);
  assert.deepEqual(reasonsFor('password secret', 'password other'), [
    { code: 'section_changed', section: 'userlist admins', detail: 'user' },
  ]);
  assert.deepEqual(reasonsFor('userlist admins', 'backend new\nuserlist admins'), [
    { code: 'proxy_added', section: 'backend new', detail: 'added' },
  ]);
  assert.deepEqual(reasonsFor(/^backend web$/m, 'backend shop'), [
    { code: 'proxy_added', section: 'backend shop', detail: 'added' },
    { code: 'proxy_removed', section: 'backend web', detail: 'removed' },
  ]);
});

test('a changed section that has moved past one that has not changed is another order, too', () => {
  const [, , frontend, backend, list] = splitSections(base);
  assert.ok(frontend && backend && list);
  const changed = { ...frontend, text: `${frontend.text}    maxconn 7\n` };
  const reasonsOf = (desired: readonly Section[]) => planReload([frontend, backend, list], desired, { forced: [] });
  assert.deepEqual(reasonsOf([changed, backend, list]), {
    kind: 'reload',
    reasons: [{ code: 'option_changed', section: `frontend ${frontend.name}`, detail: 'maxconn' }],
  });
  assert.deepEqual(reasonsOf([backend, changed, list]), {
    kind: 'reload',
    reasons: [
      { code: 'option_changed', section: `frontend ${frontend.name}`, detail: 'maxconn' },
      { code: 'order_changed' },
    ],
  });
});

test('sections, lines and servers in another order are a reason', () => {
  const [global, defaults, frontend, backend, list] = splitSections(base);
  assert.ok(global && defaults && frontend && backend && list);
  assert.deepEqual(planReload([global, frontend, backend], [global, backend, frontend], { forced: [] }), {
    kind: 'reload',
    reasons: [{ code: 'order_changed' }],
  });
  const servers = /( {4}server a.*\n)( {4}server b.*\n)/;
  assert.deepEqual(reasonsFor(servers, '$2$1'), [{ code: 'option_changed', section: 'backend web', detail: 'order' }]);
  assert.deepEqual(reasonsFor(/( {4}default-server.*\n)( {4}server a.*\n)/, '$2$1'), [
    { code: 'option_changed', section: 'backend web', detail: 'order' },
  ]);
});

test('many servers are named and counted', () => {
  const more = Array.from({ length: 7 }, (_, at) => `    server n${at} 10.1.0.${at + 1}:80\n`).join('');
  assert.deepEqual(reasonsFor('    server a', `${more}    server a`), [
    { code: 'server_added', section: 'backend web', detail: 'n0, n1, n2, n3, n4 and 2 more' },
  ]);
});

test('a reason never shows the value of a line, which may be a password', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9]{12,20}$/), (secret) => {
      const reasons = JSON.stringify([
        ...reasonsFor('password secret', `password ${secret}`),
        ...reasonsFor('    maxconn 100', `    maxconn 100\n    setenv TOKEN ${secret}\n    stats auth eve:${secret}`),
      ]);
      assert.ok(!reasons.includes(secret), reasons);
    }),
  );
});

test('nothing running is a first start, unless it is known why nothing runs', () => {
  const wanted = splitSections(base);
  assert.deepEqual(planReload(null, wanted, { forced: [] }), { kind: 'reload', reasons: [{ code: 'first_start' }] });
  assert.deepEqual(planReload(null, wanted, { forced: [{ code: 'haproxy_exited' }] }), {
    kind: 'reload',
    reasons: [{ code: 'haproxy_exited' }],
  });
});

test('a reload that is asked for is done without a difference, and named first', () => {
  const forced = [{ code: 'operator_request' }] as const;
  assert.deepEqual(planReload(splitSections(base), splitSections(base), { forced }), {
    kind: 'reload',
    reasons: forced,
  });
});

test('whatever HAProxy would read differently is planned, and nothing else', () => {
  const line = fc.constantFrom(
    '    server a 1.1.1.1:1',
    '    server b 1.1.1.1:2',
    '    mode http',
    '    # note',
    '',
    '    bind :1',
    '.if x',
    '.endif',
    '    default-server check',
  );
  const file = fc.uniqueArray(
    fc.tuple(fc.constantFrom('frontend x', 'backend x', 'backend y', 'listen z'), fc.array(line)),
    { selector: ([title]) => title },
  );
  const textOf = (sections: readonly (readonly [string, readonly string[]])[]): string =>
    sections.map(([title, lines]) => [title, ...lines, ''].join('\n')).join('');
  const read = (text: string): string => text.replace(/^ *(#.*)?\n/gm, '');
  fc.assert(
    fc.property(file, file, (one, two) => {
      const [a, b] = [textOf(one), textOf(two)];
      const plan = planReload(splitSections(a), splitSections(b), { forced: [] });
      assert.equal(plan.kind === 'none', read(a) === read(b), JSON.stringify(plan));
      const keys = plan.kind === 'none' ? [] : plan.reasons.map(({ code, section }) => `${code} ${section}`);
      assert.equal(new Set(keys).size, keys.length, 'one reason for a section and code');
    }),
  );
});

test('ten thousand services, one of them changed, are compared in milliseconds', () => {
  const sections = splitSections(
    Array.from(
      { length: 10_000 },
      (_, at) => `backend s${at}\n${'    server a 10.0.0.1:80 weight 1\n'.repeat(10)}`,
    ).join(''),
  );
  const wanted = sections.with(5000, {
    kind: 'backend',
    name: 's5000',
    service: null,
    text: 'backend s5000\n    server a 10.0.0.1:81 weight 1\n',
  });
  const best = Math.min(
    ...Array.from({ length: 20 }, () =>
      cpuMs(() => assert.equal(planReload(sections, wanted, { forced: [] }).kind, 'reload')),
    ),
  );
  assert.ok(best < 50, `${best} ms`);
});

test('a diff shows each section that differs, with a few lines around', () => {
  const wanted = base
    .replace('server b 10.0.0.2:80 weight 1', 'server b 10.0.0.2:80 weight 0')
    .replace('userlist admins\n    user eve password secret\n', 'backend new\n    balance first\n');
  assert.equal(
    diff(splitSections(base), splitSections(wanted)),
    `@@ backend web @@
     balance roundrobin
     default-server check
     server a 10.0.0.1:80 weight 1
-    server b 10.0.0.2:80 weight 1
+    server b 10.0.0.2:80 weight 0
@@ userlist admins @@
-userlist admins
-    user eve password secret
@@ backend new @@
+backend new
+    balance first
`.replace('@@ backend web @@\n', '@@ backend web @@\n  … 1 unchanged\n'),
  );
  assert.equal(diff(splitSections(base), splitSections(base)), '');
});

test('a diff applied to the old file gives the new one', () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', '}'), { maxLength: 12 });
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const of = (list: readonly string[]) => [
        { kind: 'backend', name: 'x', service: null, text: list.map((line) => `${line}\n`).join('') },
      ];
      const shown = diff(of(before), of(after)).split('\n').slice(1, -1);
      if (before.join() === after.join()) return assert.deepEqual(shown, []);
      // With so few lines hardly any is hidden; those that are stand in both.
      let [a, b] = [0, 0];
      for (const text of shown) {
        const hidden = /^ {2}… (\d+) unchanged$/.exec(text)?.[1];
        if (hidden !== undefined) {
          for (let left = Number(hidden); left > 0; left--) assert.equal(before[a++], after[b++]);
          continue;
        }
        if (text[0] !== '+') assert.equal(before[a++], text.slice(1));
        if (text[0] !== '-') assert.equal(after[b++], text.slice(1));
      }
      assert.deepEqual([a, b], [before.length, after.length]);
    }),
  );
});

test('a diff of two long backends takes no more than their length asks for', () => {
  const list = Array.from({ length: 20_000 }, (_, at) => `    server s${at} 10.0.0.1:80`);
  const of = (lines: readonly string[]) => splitSections(`backend x\n${lines.join('\n')}\n`);
  const tookMs = cpuMs(() => diff(of(list), of(list.toReversed())));
  assert.ok(tookMs < 2000, `${tookMs} ms`);
});
