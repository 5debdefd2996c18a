/** Which files HAProxy reads because of a service, and how its sections name others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namedFiles, withOtherFiles } from '../../../src/haproxy/text/named-files.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';

const front = `frontend web:in
    bind 127.0.0.1:443  ssl crt /pem/a.pem crt "/pem/b c.pem" ca-file /pem/ca.pem crl-file /pem/crl.pem # both
    errorfile 503 /pages/503.http
    http-request deny if { path_beg /pem/a.pem }
    http-request set-header x-crt /pem/a.pem
`;
const back = `backend web
    default-server ca-file /pem/ca.pem
    server crt 127.0.0.1:80 ssl verify required ca-file @system-ca crt /pem/client.pem
    server b /pem/a.pem crt "$HOME/x.pem"
`;

function config(text: string, service: string | null = 'web', global = ''): readonly Section[] {
  return [...splitSections(global), ...splitSections(text, service)];
}

function pathsIn(sections: readonly Section[]): readonly string[] {
  return namedFiles(sections).map(({ path }) => path);
}

test('certificates and error pages that a service names are found, and nothing that only looks like one', () => {
  assert.deepEqual(pathsIn(config(front + back)), [
    '/pem/a.pem',
    '/pem/b c.pem',
    '/pem/ca.pem',
    '/pem/crl.pem',
    '/pages/503.http',
    '/pem/client.pem',
  ]);
  assert.deepEqual(pathsIn(config(front, null)), [], 'what is hand-written is not ours to keep');
});

test('a relative path begins where the global section says, and is left alone where it does not', () => {
  const line = 'frontend web:in\n    bind :443 ssl crt a.pem ca-file ca.pem\n';
  assert.deepEqual(pathsIn(config(line, 'web', 'global\n    crt-base /certs\n')), ['/certs/a.pem']);
  assert.deepEqual(pathsIn(config(line, 'web', 'global\n    crt-base /certs\n    ca-base /cas\n')), [
    '/certs/a.pem',
    '/cas/ca.pem',
  ]);
  assert.deepEqual(pathsIn(config(line)), []);
});

test('the lines that name files name others instead, with all else in them, and the other lines stay as they are', () => {
  const sections = config(front + back);
  const others = withOtherFiles(sections, 'web', (path) =>
    path === '/pem/ca.pem' ? null : `/state/it's ${path.length}`,
  );
  const text = others.map((section) => section.text).join('');
  assert.equal(
    text,
    `frontend web:in
    bind 127.0.0.1:443 ssl crt '/state/it'\\''s 10' crt '/state/it'\\''s 12' ca-file /pem/ca.pem crl-file '/state/it'\\''s 12'
    errorfile 503 '/state/it'\\''s 15'
    http-request deny if { path_beg /pem/a.pem }
    http-request set-header x-crt /pem/a.pem
backend web
    default-server ca-file /pem/ca.pem
    server crt 127.0.0.1:80 ssl verify required ca-file @system-ca crt '/state/it'\\''s 15'
    server b /pem/a.pem crt "$HOME/x.pem"
`,
  );
  assert.deepEqual(pathsIn(others), ["/state/it's 10", "/state/it's 12", '/pem/ca.pem', "/state/it's 15"]);
});

test('sections of other services, and those that name nothing that is known, are the same as before', () => {
  const sections = [...config(front), ...config(front.replace('web:in', 'db:in'), 'db')];
  const same = withOtherFiles(sections, 'web', () => null);
  assert.ok(same.every((section, at) => section === sections[at]));
  const [first, second] = withOtherFiles(sections, 'web', () => '/state/1');
  assert.notEqual(first, sections[0]);
  assert.equal(second, sections[1]);
});
