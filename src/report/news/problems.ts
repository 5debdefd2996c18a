/** The problems that HAProxy or our preflight found, in one text: of equal problems only one is shown. */
import type { Problem } from '../../model.ts';

export function problemText(problems: readonly Problem[]): string {
  return problems.map(textOf).join('; ');
}

function textOf({ message, line, service }: Problem): string {
  return `${service === null ? '' : `service ${service}: `}${message}${line === undefined ? '' : ` (line ${line})`}`;
}
