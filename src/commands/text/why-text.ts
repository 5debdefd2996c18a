/** The answer of `myelin why` for people: the place where it is lost first, then all that is known, from source to socket. */
import { styleText } from 'node:util';
import { table } from '../../report/text/format.ts';
import { printable, printableLines } from '../../report/text/printable.ts';
import type { WhyStep } from '../../report/why/step.ts';
import type { Why } from '../../report/why.ts';

export function formatWhy({ about, serves, steps }: Why): string {
  const first = steps.find(({ isLost }) => isLost);
  const verdict = serves
    ? styleText('green', `${printable(about)} gets traffic`, { stream: process.stdout })
    : styleText('red', `${printable(about)} gets no traffic`, { stream: process.stdout });
  const cause = first === undefined ? '' : `: ${textOf(first).replaceAll('\n', '\n  ')}`;
  const remedy = first === undefined || first.remedy === null ? '' : `\nwhat to do: ${printable(first.remedy)}`;
  const rows = steps.map((step): [string, string] => [step.isLost ? `${step.stage} ✗` : step.stage, textOf(step)]);
  return `${verdict}${cause}${remedy}\n\n${table(rows)}`;
}

/** Names and reasons come from anyone who may register. */
function textOf({ text }: WhyStep): string {
  return printableLines(text);
}
