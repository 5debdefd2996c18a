import assert from 'node:assert/strict';
import test from 'node:test';
import { toProblems } from '../../../src/apply/problems.ts';
import type { Section } from '../../../src/model.ts';
import { problemLines } from '../../../src/report/text/problem-text.ts';
import { located } from '../../../src/settings/settings.ts';

const text = 'backend web\n    stats auth admin:hunter2 nonsense\n    retries x\n';
const sections: readonly Section[] = [{ kind: 'backend', name: 'web', service: 'web', text }];

test('what HAProxy refuses is told with the key and the line of the config that it comes from, and without passwords', () => {
  const written = [
    { text: 'stats auth admin:*** nonsense', path: 'services.web.backend[0]', place: 'myelin.yaml:7:9' },
  ];
  const complaints = [2, 3].map((line) => ({ message: 'too many words', file: 'f.cfg', line }));
  const problems = toProblems(complaints, sections, ['f.cfg']).map((problem) => located(problem, { written }));
  assert.deepEqual(problemLines(problems), [
    'myelin.yaml:7:9: services.web.backend[0]: `stats auth admin:*** nonsense`: too many words',
    'service web: too many words (line of a template: `retries x`)',
  ]);
});
