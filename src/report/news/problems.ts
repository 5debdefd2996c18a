/** What HAProxy or our preflight refuses, in one text: of two that are the same people read one. */
import type { Problem } from '../../model.ts';

export function problemText(problems: readonly Problem[]): string {
  return problems.map(textOf).join('; ');
}

function textOf({ message, line, service }: Problem): string {
  return `${service === null ? '' : `service ${service}: `}${message}${line === undefined ? '' : ` (line ${line})`}`;
}
