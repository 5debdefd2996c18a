/** What is not well, for people: each with its age, its cause, and what acts on it. */
import type { Timestamp } from '../../model.ts';
import type { StatusProblem } from '../../report/status-problems.ts';
import { age, table } from '../../report/text/format.ts';
import { printable } from '../../report/text/printable.ts';

const mostShown = 200;

export function formatProblems(problems: readonly StatusProblem[], now: Timestamp): string {
  if (problems.length === 0) return 'all is well\n';
  const rows = problems
    .slice(0, mostShown)
    .map(({ about, service, since, what, cause, command, remedy }): [string, string] => {
      const lines = [
        `${what}${since === null ? '' : `, for ${age(since, now)}`}`,
        // Of what strangers register no line break is one: they could write lines that look like ours.
        ...(cause === null ? [] : service === null ? cause.split('\n') : [cause]),
        ...(command === null ? [] : [`→ ${command}`]),
        ...(remedy === null ? [] : [`→ ${remedy}`]),
      ];
      return [printable(about ?? 'myelin'), lines.map(printable).join('\n')];
    });
  const more = problems.length - rows.length;
  return `${table(rows)}${more === 0 ? '' : `  and ${more} more\n`}`;
}
