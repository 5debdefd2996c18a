/** `watchers`: the sources, each with its own settings and the settings that all watchers have. */
import { z } from 'zod';
import * as registry from '../../../watchers/index.ts';
import { type CommonSettings, commonSettings, type Source } from '../../../watchers/kit/source.ts';

/** Sources by the `type` of a watcher. */
export type SourceTypes = ReadonlyMap<string, Source>;

/** In the order of their names. */
export const builtIn: SourceTypes = new Map(Object.values(registry).map((source) => [source.type, source]));

/** A watcher's settings: those of its source, and those that all watchers have. */
export type WatcherConfig = CommonSettings & { readonly type: string } & Readonly<Record<string, unknown>>;

export function watcherOf(type: string, { settings }: Source) {
  const described = z.strictObject({
    type: z.literal(type).describe('The kind of source. Default: the name of the watcher, where that is a kind.'),
    ...settings.shape,
    ...commonSettings.shape,
  });
  return settings.description === undefined ? described : described.describe(settings.description);
}

export function watcherIn(types: SourceTypes) {
  const [first, ...others] = [...types].map(([type, source]) => watcherOf(type, source));
  if (first === undefined) throw new Error('there is no source at all');
  return z.discriminatedUnion('type', [first, ...others]) as unknown as z.ZodType<WatcherConfig>;
}
