import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Section } from '../../../src/model.ts';
import type { Happening } from '../../../src/report/happenings.ts';
import { LastPlans } from '../../../src/report/last-plans.ts';

const backend = (name: string, ...lines: readonly string[]): Section => ({
  kind: 'backend',
  name,
  text: [`backend ${name}`, ...lines.map((line) => `    ${line}`), ''].join('\n'),
  service: name,
});
const web = backend('web', 'server web-1 10.0.0.1:80');

function reconciled(result: object, sections: readonly Section[] | null): Happening {
  return { kind: 'reconciled', result, sections, tookMs: 3 } as unknown as Happening;
}

const runtime = { kind: 'runtime', commands: 2, owners: ['backend web'], tookMs: 3 };
const reload = { kind: 'reload', reasons: [{ code: 'option_changed', section: 'backend web' }], tookMs: 3 };

test('the last plans show what differed in the files, the newest first', async () => {
  let now = 100;
  const plans = new LastPlans(() => now++);
  plans.note(reconciled({ ...reload, reasons: [{ code: 'first_start' }] }, [web]));
  plans.note(reconciled(runtime, [backend('web', 'server web-1 10.0.0.1:80', 'server web-2 10.0.0.2:80')]));
  plans.note(reconciled({ kind: 'noop' }, [web]));
  const [last, first] = await plans.list();
  assert.deepEqual(
    [last?.at, last?.result, last?.commands, last?.diff],
    [
      101,
      'runtime',
      2,
      '@@ backend web @@\n backend web\n     server web-1 10.0.0.1:80\n+    server web-2 10.0.0.2:80\n',
    ],
  );
  assert.deepEqual([first?.result, first?.reasons, first?.diff], ['reload', [{ code: 'first_start' }], null]);
});

test('a reload is not forgotten because servers come and go, and passwords in lines of HAProxy are masked', async () => {
  const plans = new LastPlans(() => 0);
  plans.note(reconciled(reload, [web]));
  plans.note(reconciled(reload, [web, backend('stats', 'stats auth admin:hunter22')]));
  for (let count = 0; count < 30; count++) plans.note(reconciled(runtime, [web]));
  const list = await plans.list();
  assert.equal(list.filter(({ result }) => result === 'runtime').length, 10);
  const [, masked] = list.filter(({ result }) => result === 'reload').reverse();
  assert.match(masked?.diff ?? '', /^\+ {4}stats auth admin:\*\*\*$/m);
});

test('where no running HAProxy is known there are no plans to show', async () => {
  const plans = new LastPlans(() => 0);
  plans.note(reconciled(reload, null));
  assert.deepEqual(await plans.list(), []);
});
