import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filesIn } from '../../../src/haproxy/text/files.ts';
import { textOf } from '../../../src/haproxy/text/layout.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';

const map: Section = { kind: 'map', name: '/run/maps/public.map', text: 'a.example/ a\n', service: null };
const certificate: Section = { kind: 'certificate', name: '/run/certs/a.pem', text: 'KEY\n', service: null };
const config = 'global\n    maxconn 10\nbackend a\n    server a1 127.0.0.1:80\n';

describe('Files beside haproxy.cfg', () => {
  it('are no part of its text, wherever they stand among the sections', () => {
    const [global, ...others] = splitSections(config);
    assert.ok(global);
    assert.equal(textOf([map, global, certificate, ...others]), config);
  });

  it('are written by their names, keys for their owner alone', () => {
    assert.deepEqual(filesIn([...splitSections(config), map, certificate]), [
      { path: '/run/maps/public.map', text: 'a.example/ a\n', mode: 0o640 },
      { path: '/run/certs/a.pem', text: 'KEY\n', mode: 0o600 },
    ]);
  });
});
