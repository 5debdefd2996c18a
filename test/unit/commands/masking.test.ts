import assert from 'node:assert/strict';
import test from 'node:test';
import { Masking } from '../../../src/commands/preview/masking.ts';
import type { Section } from '../../../src/model.ts';

const section = (text: string): readonly Section[] => [{ kind: 'backend', name: 'web', service: 'web', text }];
const text = (secret: string) => `backend web
    mode http
    http-request set-header x-key ${secret}
    default-server sni str(${secret})
    server vm:api-http-1 192.0.2.1:80
`;
const masking = new Masking(section(text('http')), section(text('***')), ['http']);

test('a diff has a mask where the secret stands, and where the one before it stood, and nowhere else', () => {
  const diff = `@@ backend web @@
     mode http
-    http-request set-header x-key older
+    http-request set-header x-key http
-    server vm:api-http-1 192.0.2.1:80
+    server vm:api-http-1 192.0.2.2:80
`;
  const shown = diff.replace('x-key older', 'x-key ***').replace('x-key http', 'x-key ***');
  assert.equal(masking.diff(diff), shown);
});

test('a command has a mask for each word with a secret in it, and its names', () => {
  assert.equal(
    masking.command('add server web/vm:api-http-1 192.0.2.1:80 sni str(http)'),
    'add server web/vm:api-http-1 192.0.2.1:80 sni str(***)',
  );
});

test('of a section that has other lines with masks, no line is shown', () => {
  const other = new Masking(section('a\n    b http\n'), section('a\n'), []);
  assert.equal(other.diff('+    b http\n'), '+    ***\n');
});
