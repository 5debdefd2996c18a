/** Which files of tests `npm test` runs, beside which others, and on which versions of HAProxy. */
import { globSync } from 'node:fs';
import type { TestFile } from './test-file.ts';

const others = ['2.2', '3.0', '3.2', '3.4'] as const;
/** Those that depend on the version most: these know several branches themselves. */
const severalBranches = [
  'apply/certificates',
  'apply/maps',
  'apply/runtime',
  'apply/worker',
  'haproxy/held-connection',
  'haproxy/master',
  'haproxy/payloads',
  'haproxy/runtime-commands',
  'plan/maps',
  'plan/runtime',
  'render/config',
  'routes/routing',
];
/** These run on one. */
const oneBranch = ['drift', 'servers'];

/** Quick, or their load leaves room for other files. The long ones first, so that none is left alone at the end. */
export const sideBySide: readonly TestFile[] = [
  ...filesIn('e2e/light', 'deploy', 'integration', 'contract'),
  ...severalBranches.map((name) => ({
    path: `test/integration/${name}.test.ts`,
    env: { HAPROXY_BRANCHES: others.join() },
  })),
  ...others.flatMap((branch) =>
    oneBranch.map((name) => ({ path: `test/e2e/light/${name}.test.ts`, env: { HAPROXY_BRANCH: branch } })),
  ),
  ...filesIn('docs', 'unit'),
];

/** They put load on the machine. */
export const oneByOne: readonly TestFile[] = filesIn('e2e/heavy');

function filesIn(...folders: readonly string[]): readonly TestFile[] {
  return folders.flatMap((folder) => globSync(`test/${folder}/**/*.test.ts`).sort()).map((path) => ({ path }));
}
