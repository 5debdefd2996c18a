/** Which servers a new HAProxy is told are down. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downServers, noServerDown } from '../../../src/apply/files/health.ts';
import { parseServersState } from '../../../src/haproxy/cli/info.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';

/** Of a service. */
const owned = (text: string): readonly Section[] => splitSections(text, 'web');

const dump = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 web 1 up 10.0.0.1 2 0 1 1 9 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 web 2 down 10.0.0.2 0 0 7 5 9 15 2 0 6 0 0 0 host 80 - 0 8080 10.9.9.9 - 0
3 web 3 maint 10.0.0.3 0 1 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0
3 web 4 draining 10.0.0.4 0 8 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0
3 web 5 v6 2001:db8::5 0 0 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0
`;
const state = parseServersState(dump);
const web = (servers: string, more = '') => owned(`defaults\n    mode http\nbackend web\n${more}${servers}`);
const all = web(
  [1, 2, 3, 4].map((n) => `    server ${['up', 'down', 'maint', 'draining'][n - 1]} 10.0.0.${n}:80 check\n`).join(''),
);

test('only servers that their checks marked down are carried over, with weight and check as the config has them', () => {
  assert.equal(
    downServers(state, all),
    `${noServerDown}3 web 2 down 10.0.0.2 0 0 5 5 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0\n` +
      '3 web 4 draining 10.0.0.4 0 0 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0\n',
  );
});

test('a server that was started disabled is down by its checks once it has been made ready, and not before', () => {
  const carried = (admin: number): boolean =>
    downServers(parseServersState(dump.replace('10.0.0.2 0 0 7', `10.0.0.2 0 ${admin} 7`)), all).includes(
      ' down 10.0.0.2 ',
    );
  assert.deepEqual([carried(5), carried(4)], [false, true]);
});

test('a server whose address, port, name or backend changed is not carried over', () => {
  for (const line of ['down 10.0.0.9:80', 'down 10.0.0.2:81', 'renamed 10.0.0.2:80'])
    assert.equal(downServers(state, web(`    server ${line} check\n`)), noServerDown);
  assert.equal(downServers(state, owned('backend other\n    server down 10.0.0.2:80 check\n')), noServerDown);
});

test('a server without checks is not carried over, wherever they are switched off', () => {
  const carried = (servers: string, more = ''): boolean => downServers(state, web(servers, more)) !== noServerDown;
  assert.equal(carried('    server down 10.0.0.2:80\n'), false);
  assert.equal(carried('    server down 10.0.0.2:80\n', '    default-server check\n'), true);
  assert.equal(carried('    server down 10.0.0.2:80 no-check\n', '    default-server check\n'), false);
});

test('IPv6 addresses are compared without their brackets', () => {
  assert.match(downServers(state, web('    server v6 [2001:db8::5]:80 check\n')), /\bv6 2001:db8::5 0 0 /);
});

test('a server is known again however its place is written, and not where that is another one', () => {
  const kinds = {
    v6: ['2001:db8::1 0 - 80', '[2001:0db8:0:0:0:0:0:1]:80', '[2001:db8::2]:80'],
    mapped: ['::ffff:10.0.0.1 0 - 80', '10.0.0.1:80', '10.0.0.2:80'],
    prefixed: ['10.0.0.1 0 - 80', 'ipv4@10.0.0.1:80', 'ipv4@10.0.0.1:81'],
    portless: ['10.0.0.1 0 - 0', '10.0.0.1', '10.0.0.1:80'],
    offset: ['10.0.0.1 0 - 1000', '10.0.0.1:+1000', '10.0.0.1:1001'],
    name: ['10.0.0.1 0 db.example 80', 'DB.example:80', 'other.example:80'],
    unix: ['- 0 - 0', 'unix@/run/db.sock', '10.0.0.1:80'],
    path: ['- 0 - 0', '/run/db.sock', 'db.example:80'],
  };
  for (const [kind, [found = '', same = '', other = '']] of Object.entries(kinds)) {
    const [addr, , fqdn, port] = found.split(' ');
    const rows = [
      {
        be_name: 'web',
        srv_name: 's',
        srv_addr: addr ?? '',
        srv_op_state: '0',
        srv_admin_state: '0',
        srv_fqdn: fqdn ?? '',
        srv_port: port ?? '',
      },
    ];
    const carried = (place: string): boolean =>
      downServers({ fields: [], rows }, web(`    server s ${place} check\n`)) !== noServerDown;
    assert.deepEqual([carried(same), carried(other)], [true, false], kind);
  }
});

test('a unix socket, which HAProxy does not tell, is the same where it is written the same', () => {
  const dump2 = dump.replace(
    '2 down 10.0.0.2 0 0 7 5 9 15 2 0 6 0 0 0 host 80',
    '2 down - 0 0 7 5 9 15 2 0 6 0 0 0 - 0',
  );
  const at = (path: string) => web(`    server down unix@${path} check\n`);
  const carried = (running: string): boolean =>
    downServers(parseServersState(dump2), at('/run/a'), at(running)) !== noServerDown;
  assert.deepEqual([carried('/run/a'), carried('/run/b')], [true, false]);
});

test('`default-server` comes from the defaults that the section names, and holds for the servers after it', () => {
  const carried = (text: string): boolean => downServers(state, owned(text)) !== noServerDown;
  const server = '    server down 10.0.0.2:80\n';
  const two = 'defaults d1\n    default-server check\ndefaults d2\n    mode http\n';
  assert.equal(carried(`${two}backend web from d1\n${server}`), true);
  assert.equal(carried(`${two}backend web from d2\n${server}`), false);
  assert.equal(carried(`defaults d1\n    default-server check\ndefaults d2 from d1\nbackend web\n${server}`), true);
  assert.equal(carried(`backend web\n${server}    default-server check\n`), false);
});

test('each server of a template is carried over', () => {
  const template = dump.replace(
    '2 down 10.0.0.2 0 0 7 5 9 15 2 0 6 0 0 0 host',
    '2 down3 10.0.0.2 0 0 7 5 9 15 2 0 6 0 0 0 host',
  );
  const text = (range: string) => web(`    server-template down ${range} host:80 check\n`);
  const carried = (range: string): boolean => downServers(parseServersState(template), text(range)) !== noServerDown;
  assert.deepEqual([carried('3'), carried('2-4'), carried('2')], [true, true, false]);
});

test('of hand-written sections also what somebody has set is carried over', () => {
  const text = downServers(
    state,
    splitSections(
      `backend web\n${['up', 'down', 'maint', 'draining'].map((name, at) => `    server ${name} 10.0.0.${at + 1}:80\n`).join('')}`,
    ),
  );
  assert.deepEqual(
    text
      .split('\n')
      .slice(2, -1)
      .map((row) => row.split(' ').slice(3, 8).join(' ')),
    ['down 10.0.0.2 2 0 7', 'maint 10.0.0.3 2 1 1', 'draining 10.0.0.4 2 8 1'],
  );
});
