/** Which servers a new HAProxy is told are down. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downServers, noServerDown } from '../../src/apply/health.ts';
import { parseServersState } from '../../src/haproxy/info.ts';
import { splitSections } from '../../src/haproxy/text.ts';

const dump = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 web 1 up 10.0.0.1 2 0 1 1 9 15 3 4 6 0 0 0 - 80 - 0 0 - - 0
3 web 2 down 10.0.0.2 0 0 7 5 9 15 2 0 6 0 0 0 host 80 - 0 8080 10.9.9.9 - 0
3 web 3 maint 10.0.0.3 0 1 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0
3 web 4 draining 10.0.0.4 0 8 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0
3 web 5 v6 2001:db8::5 0 0 1 1 9 15 2 0 6 0 0 0 - 80 - 0 0 - - 0
`;
const state = parseServersState(dump);
const web = (servers: string, more = '') => splitSections(`defaults\n    mode http\nbackend web\n${more}${servers}`);
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

test('a server whose address, port, name or backend changed is not carried over', () => {
  for (const line of ['down 10.0.0.9:80', 'down 10.0.0.2:81', 'renamed 10.0.0.2:80'])
    assert.equal(downServers(state, web(`    server ${line} check\n`)), noServerDown);
  assert.equal(downServers(state, splitSections('backend other\n    server down 10.0.0.2:80 check\n')), noServerDown);
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
