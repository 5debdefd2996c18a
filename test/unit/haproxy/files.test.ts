import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { filesIn } from '../../../src/haproxy/text/layout/files.ts';
import { textOf } from '../../../src/haproxy/text/layout/layout.ts';
import { splitSections } from '../../../src/haproxy/text/text.ts';
import type { Section } from '../../../src/model.ts';
import { planChange } from '../../../src/plan/plan.ts';
import { diff } from '../../../src/plan/printed-diff.ts';

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

  it('are named in reasons and differences, and a key is shown in neither', () => {
    const sections = splitSections(config);
    const [before, after] = [certificate, { ...certificate, text: 'SECRET\n' }].map((each) => [...sections, each, map]);
    assert.ok(before && after);
    assert.deepEqual(planChange({ sections: before }, { sections: after }, null), {
      kind: 'reload',
      reasons: [{ code: 'certificate_changed', section: 'certificate /run/certs/a.pem', detail: 'changed' }],
    });
    const shown = diff(before, after);
    assert.match(shown, /^@@ certificate \/run\/certs\/a\.pem @@\n-sha256 \w{64}\n\+sha256 \w{64}\n$/);
    assert.equal(
      diff([...sections, map], [...sections, { ...map, text: 'b.example/ a\n' }]),
      ['@@ map /run/maps/public.map @@', '-a.example/ a', '+b.example/ a', ''].join('\n'),
    );
  });

  it('are no reason for anything by their place among the sections', () => {
    const sections = splitSections(config);
    assert.deepEqual(planChange({ sections: [map, ...sections] }, { sections: [...sections, map] }, null), {
      kind: 'none',
    });
  });
});
