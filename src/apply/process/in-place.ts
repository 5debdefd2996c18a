/** The file that stands in its place while nothing of ours serves: what a start can go back to. */
import { AppError } from '../../errors.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import type { Section } from '../../model.ts';
import type { Outcome } from '../driver.ts';
import type { Generation } from '../state/generation.ts';
import { readSections } from '../state/records.ts';
import { sameText, sectionsOf } from '../state/sections.ts';

/** `newest`: whose record may know the services in it. null where there is no file. */
export async function sectionsInPlace(file: ConfigFile, newest: Generation | null): Promise<readonly Section[] | null> {
  const text = await file.read();
  if (text === null) return null;
  const recorded = newest === null ? null : await readSections(newest);
  return recorded !== null && textOf(recorded) === text ? recorded : sectionsOf(text, null);
}

type Start = (sections: readonly Section[]) => Promise<Outcome>;

/**
 * Starts with what is wanted; where that cannot be written, with the file in place, which needs no room: something serves,
 * and servers follow by commands. What is wanted has failed all the same.
 */
export async function startWithEither(
  wanted: readonly Section[],
  inPlace: readonly Section[] | null,
  start: Start,
): Promise<Outcome> {
  try {
    return await start(wanted);
  } catch (error) {
    const isUnwritten = error instanceof AppError && error.code === 'MYELIN_WRITE_FAILED';
    if (!isUnwritten || inPlace === null || sameText(wanted, inPlace)) throw error;
    // Why it is needed says more than why it came to nothing as well.
    const outcome = await start(inPlace).catch(() => null);
    if (outcome?.kind !== 'applied') throw error;
    const { code, cause, remedy } = error;
    const message = `HAProxy was started with the file that is in place, because ${error.message}`;
    return { kind: 'failed', error: new AppError(code, message, { cause, ...(remedy && { remedy }) }), problems: [] };
  }
}
