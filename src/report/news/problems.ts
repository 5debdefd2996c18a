/** The problems that HAProxy or our preflight found, in one text: of equal problems only one is shown. */
import type { Problem } from '../../model.ts';

export function problemText(problems: readonly Problem[]): string {
  return problems.map(textOf).join('; ');
}

function textOf({ message, line, text, service }: Problem): string {
  // The number counts in a file that is kept for a while at most: the text leads to its origin.
  const place = line === undefined ? '' : ` (line ${line}${text === undefined ? '' : `: \`${text}\``})`;
  return `${service === null ? '' : `service ${service}: `}${message}${place}`;
}
