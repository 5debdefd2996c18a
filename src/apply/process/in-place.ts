/** The file in place while no HAProxy of ours serves: a start can fall back to it. */
import { AppError } from '../../errors.ts';
import { isFile } from '../../haproxy/text/layout/files.ts';
import { textOf } from '../../haproxy/text/layout/layout.ts';
import type { ConfigFile } from '../../lib/files/config-file.ts';
import { isThere, readIfPossible } from '../../lib/files/files.ts';
import type { Section } from '../../model.ts';
import type { Outcome } from '../driver.ts';
import type { Generation } from '../state/generation.ts';
import { readSections } from '../state/records.ts';
import { sameText, sectionsLike, sectionsOf } from '../state/sections.ts';

/** The record of `newest` may know the services in the file. null where there is no file. */
export async function sectionsInPlace(file: ConfigFile, newest: Generation | null): Promise<readonly Section[] | null> {
  const text = await file.read();
  if (text === null) return null;
  const recorded = newest === null ? null : await readSections(newest);
  if (recorded === null) return sectionsOf(text, null);
  if (textOf(recorded) === text) return recorded;
  const files = await Promise.all(
    recorded.filter(isFile).map(async (each) => ((await isThere(each.name)) ? each : [])),
  );
  return sectionsLike(text, recorded, new Set(files.flat()));
}

/** The files beside the config as they are on disk: the record may know newer ones, which did not find room there. */
export async function withFilesInPlace(sections: readonly Section[]): Promise<readonly Section[]> {
  return Promise.all(
    sections.map(async (section) => {
      const text = isFile(section) ? (await readIfPossible(section.name))?.toString('utf8') : undefined;
      return text === undefined || text === section.text ? section : { ...section, text };
    }),
  );
}

type Start = (sections: readonly Section[]) => Promise<Outcome>;

/**
 * Starts the desired config; where that cannot be written, the file in place, which needs no disk space: it serves,
 * and servers follow by commands. The outcome is still the failure of the desired config.
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
    // The first error says more than the failure of this fallback.
    const outcome = await start(inPlace).catch(() => null);
    if (outcome?.kind !== 'applied') throw error;
    const { code, cause, remedy } = error;
    const message = `HAProxy was started with the file that is in place, because ${error.message}`;
    return { kind: 'failed', error: new AppError(code, message, { cause, ...(remedy && { remedy }) }), problems: [] };
  }
}
