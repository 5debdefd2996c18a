/** `watchers`: the sources, each with its own settings and those of every watcher. */
import { z } from 'zod';
import * as registry from '../../../watchers/index.ts';
import { type CommonSettings, commonSettings, type Source } from '../../../watchers/kit/source.ts';

/** Sources by what a watcher's `type` says. */
export type SourceTypes = ReadonlyMap<string, Source>;

/** In the order of their names. */
export const builtIn: SourceTypes = new Map(Object.values(registry).map((source) => [source.type, source]));

/** A watcher's settings, as its source and all have them. */
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
