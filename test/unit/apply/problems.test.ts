import assert from 'node:assert/strict';
import test from 'node:test';
import { toProblems } from '../../../src/apply/problems.ts';
import type { Section } from '../../../src/model.ts';
import { problemText } from '../../../src/report/news/problems.ts';

test('what HAProxy refuses is told with the text of the line, without passwords', () => {
  const text = 'backend web\n    stats auth admin:hunter2 nonsense\n';
  const sections: readonly Section[] = [{ kind: 'backend', name: 'web', service: 'web', text }];
  const problems = toProblems([{ message: 'too many words', file: 'f.cfg', line: 2 }], sections, ['f.cfg']);
  assert.equal(problemText(problems), 'service web: too many words (line 2: `stats auth admin:*** nonsense`)');
});
