/** The facts of a message as people see them: of long lists the beginning, of an error the helpful part. */
import { AppError, describe } from '../errors.ts';
import type { Message, ShownMessage } from './messages.ts';

const mostListed = 20;

/** The beginning of a list that may be long, and the number of items that are left out. */
export function few<T>(list: readonly T[]): { readonly list: readonly T[]; readonly more: number } {
  return { list: list.slice(0, mostListed), more: Math.max(0, list.length - mostListed) };
}

/** For events. */
export function shown(message: Message): ShownMessage {
  const facts = entriesOf(message).map(([key, value]) => [key, key === 'error' ? describe(value) : value]);
  return Object.fromEntries(facts) as ShownMessage;
}

/** For the log, which formats `err` itself. */
export function logged(message: Message): Record<string, unknown> {
  return Object.fromEntries(
    entriesOf(message).flatMap(([key, value]): [string, unknown][] => {
      if (key === 'error') return [['err', value], ...(value instanceof AppError ? remedyOf(value) : [])];
      if (key === 'more' && value === 0) return [];
      return [[key, key.endsWith('Ms') && typeof value === 'number' ? Math.round(value) : value]];
    }),
  );
}

function remedyOf({ code, remedy }: AppError): [string, unknown][] {
  return [['code', code], ...(remedy === undefined ? [] : [['remedy', remedy] as [string, unknown]])];
}

/** `more`: the number of items of the first list that are left out. */
function entriesOf(message: Message): [string, unknown][] {
  const entries = Object.entries(message) as [string, unknown][];
  const first = entries.find(([, value]) => Array.isArray(value));
  return entries.flatMap((entry): [string, unknown][] => {
    const [key, value] = entry;
    if (!Array.isArray(value)) return [entry];
    const { list, more } = few(value as readonly unknown[]);
    return entry === first
      ? [
          [key, list],
          ['more', more],
        ]
      : [[key, list]];
  });
}
