/** One line of the log: JSON for machines or short text for people, never with a secret in it. */
import { styleText } from 'node:util';
import { maskWithin } from '../config/read/mask.ts';
import type { Problem } from '../model.ts';
import { printable, printableJson } from './text/printable.ts';
import { problemLines } from './text/problem-text.ts';

export type Style = {
  readonly secrets: readonly string[];
  readonly format: 'json' | 'pretty';
  readonly isColoured: boolean;
};

type Facts = Readonly<Record<string, unknown>>;

/** Secrets are masked in the values rather than in the line, so that the line stays valid JSON. */
export function formatLine(line: string, { secrets, format, isColoured }: Style): string {
  const facts = maskWithin(JSON.parse(line) as Facts, secrets);
  return format === 'json' ? printableJson(facts) : pretty(facts, isColoured);
}

const colours = {
  fatal: 'magenta',
  error: 'red',
  warn: 'yellow',
  info: 'green',
  debug: 'blue',
  trace: 'gray',
} as const;

/** `12:00:00.000 INFO  reloaded HAProxy reasons=[…] tookMs=41`, and below it the stack of an error that is a bug. */
function pretty({ time, level, app: _, kind: __, msg, err, problems, ...facts }: Facts, isColoured: boolean): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string): string =>
    isColoured ? styleText(style, text, { validateStream: false }) : text;
  const label = String(level);
  const colour = Object.hasOwn(colours, label) ? colours[label as keyof typeof colours] : 'gray';
  const error = describeError(err);
  const pairs = Object.entries(facts).map(([key, value]) => `${paint('cyan', show(key))}=${show(value)}`);
  const line = [
    paint('gray', String(time).slice(11, 23)),
    paint(colour, label.toUpperCase().padEnd(5)),
    ...(msg === undefined ? [] : [printable(String(msg))]),
    ...pairs,
    ...(error === null ? [] : [`${paint('cyan', 'err')}=${show(error.message)}${paint('gray', error.stack)}`]),
  ].join(' ');
  const told = Array.isArray(problems) ? problemLines(problems as readonly Problem[]) : [];
  return [line, ...told.map(indented)].join('');
}

/** What is wrong, each on lines of its own. */
function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `\n    ${printable(line)}`)
    .join('');
}

function describeError(err: unknown): { readonly message: string; readonly stack: string } | null {
  if (typeof err !== 'object' || err === null) return err === undefined ? null : { message: String(err), stack: '' };
  const { message, stack } = err as Facts;
  const frames = typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : [];
  return { message: String(message), stack: frames.map((frame) => `\n    ${printable(frame.trim())}`).join('') };
}

/** Unquoted where the value is a word, else as JSON. */
function show(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@+-]+$/.test(value)) return value;
  return printable(JSON.stringify(value) ?? 'undefined');
}
