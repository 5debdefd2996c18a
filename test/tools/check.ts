/** `npm run check`: types, format, lint, import rules, promises, unused code. Runs all of them, then says which failed. */
import { spawnSync } from 'node:child_process';

const checks: readonly (readonly [what: string, command: string, ...args: string[]])[] = [
  ['types', 'tsc', '-p', '.'],
  ['types of the page', 'tsc', '-p', 'src/page/app'],
  ['format, lint and import rules', 'biome', 'ci', '.'],
  ['promises and exhaustiveness', 'oxlint', '--type-aware', '--deny-warnings'],
  ['unused files, exports and dependencies', 'knip'],
];

const failed = checks.filter(([what, command, ...args]) => {
  process.stdout.write(`▶ ${what}: ${[command, ...args].join(' ')}\n`);
  return spawnSync(command, args, { stdio: 'inherit' }).status !== 0;
});
for (const [what] of failed) process.stdout.write(`✖ ${what}\n`);
process.exit(failed.length === 0 ? 0 : 1);
