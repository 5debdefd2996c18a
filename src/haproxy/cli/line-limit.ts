/** Computes how much the runtime API takes at once, by what the config says of its buffers. */
import type { Section } from '../../model.ts';
import { linesOf, tokenise } from '../text/text.ts';
import { defaultMaxLineBytes } from './framing.ts';

/** For a process that was started with these sections. */
export function maxLineBytes(sections: readonly Section[]): number {
  const bufferBytes = globalSize('tune.bufsize', sections);
  return bufferBytes === null ? defaultMaxLineBytes : Math.min(defaultMaxLineBytes, Math.floor(bufferBytes / 2));
}

/**
 * The longest text that a command may carry (`payload.ts`). It shares a buffer of 16 kB with its command: 14.8 kB are taken in
 * every version, on a master's command line as well. HAProxy 3.4 gives a longer text a buffer of its own, and takes the rest
 * of the text for commands where the first buffer was full right before a line feed (seen on 3.4.7).
 */
export function maxPayloadBytes(sections: readonly Section[]): number {
  const bytes = globalSize('tune.bufsize', sections);
  return bytes === null ? mostPayloadBytes : Math.min(mostPayloadBytes, Math.floor(bytes * 0.75));
}

const mostPayloadBytes = 12_000;

/** null: the config does not say. */
function globalSize(setting: string, sections: readonly Section[]): number | null {
  const words = sections
    .filter(({ kind, text }) => kind === 'global' && text.includes(setting))
    .flatMap(({ text }) => linesOf(text).map((line) => tokenise(line).words))
    .findLast(([keyword]) => keyword === setting);
  const [, digits = '', unit = ''] = /^(\d+)([kmg]?)$/i.exec(words?.[1] ?? '') ?? [];
  return digits === '' ? null : Number(digits) * 1024 ** ' kmg'.indexOf(unit.toLowerCase() || ' ');
}
