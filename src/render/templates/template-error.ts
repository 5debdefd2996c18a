/** Errors in a template, worded so that its author finds the place: file, line, column and the line itself. */

import { AppError, describe } from '../../errors.ts';
import { didYouMean } from '../../lib/did-you-mean.ts';

/** A template and its file, for messages. */
export type TemplateSource = { readonly file: string; readonly text: string };

/** 1-based. */
type Position = { readonly line: number; readonly column: number };

/** Valid names, to suggest one in place of an unknown name. */
type Known = { readonly helpers: readonly string[]; readonly fields: readonly string[] };

export function templateError(
  source: TemplateSource,
  message: string,
  position: Position | null,
  cause?: unknown,
): AppError {
  const place = position === null ? source.file : `${source.file}:${position.line}:${position.column}`;
  return new AppError('MYELIN_TEMPLATE_INVALID', `${place}: ${message}${excerpt(source, position)}`, {
    cause,
    remedy: 'docs/reference/templates.md lists what templates can use',
  });
}

/** The AppError for anything that Handlebars or a helper threw while `source` was parsed or rendered. */
export function fromThrown(source: TemplateSource, thrown: unknown, known: Known): AppError {
  if (thrown instanceof AppError) return thrown;
  const message = describe(thrown);
  if (/^(Parse|Lexical) error on line/.test(message)) return parseError(source, message);
  const position = positionOf(thrown);
  const [, missing] = /^"([^"]*)" not defined in /.exec(message) ?? [];
  if (missing !== undefined)
    return templateError(source, `there is no field "${missing}" here${didYouMean(missing, known.fields)}`, position);
  const [, helper] = /used the unknown helper (\S+)/.exec(message) ?? [];
  if (helper !== undefined)
    return templateError(source, `there is no helper "${helper}"${didYouMean(helper, known.helpers)}`, position);
  return templateError(source, message.replace(/ - \d+:\d+$/, ''), position);
}

/**
 * Handlebars shows the place of a parse error only as a picture: up to 20 characters before it and after it, without
 * line feeds, and an arrow. The place is found by searching the template for these characters.
 */
function parseError(source: TemplateSource, message: string): AppError {
  const [, line = '1', before = '', picture = '', arrow = ''] =
    /^(?:Parse|Lexical) error on line (\d+)[^\n]*\n(\.\.\.)?(.*)\n(-*)\^/.exec(message) ?? [];
  const [, got] = /got '(.+)'$/.exec(message) ?? [];
  const text =
    got === 'EOF'
      ? 'the template ends while a block or a {{ is still open'
      : 'this is not what a template can hold here';
  const offsets = [...source.text].flatMap((char, index) => (char === '\n' ? [] : [index]));
  const squeezed = source.text.replaceAll('\n', '');
  const wanted = picture.replace(/\.\.\.$/, '');
  const pointed = arrow.length - before.length;
  const places: Position[] = [];
  for (let at = squeezed.indexOf(wanted); at !== -1; at = squeezed.indexOf(wanted, at + 1))
    places.push(positionAt(source.text, offsets[at + pointed] ?? source.text.length));
  const distance = (position: Position): number => Math.abs(position.line - Number(line));
  const [nearest = { line: Number(line), column: 1 }] = places.toSorted((a, b) => distance(a) - distance(b));
  return templateError(source, text, nearest);
}

function positionAt(text: string, offset: number): Position {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
}

/** Handlebars counts columns from 0. */
function positionOf(thrown: unknown): Position | null {
  if (!(thrown instanceof Error) || !('lineNumber' in thrown) || !('column' in thrown)) return null;
  const { lineNumber, column } = thrown;
  return typeof lineNumber === 'number' && typeof column === 'number' ? { line: lineNumber, column: column + 1 } : null;
}

function excerpt({ text }: TemplateSource, position: Position | null): string {
  const line = position === null ? undefined : text.split('\n')[position.line - 1];
  if (position === null || line === undefined) return '';
  const number = String(position.line);
  return `\n  ${number} | ${line}\n  ${' '.repeat(number.length)} | ${' '.repeat(position.column - 1)}^`;
}
