/** Validates every watcher, every service and every other key by itself, so that one mistake does not hide the next. */
import { z } from 'zod';
import type { Source } from '../../../watchers/kit/source.ts';
import { isRecord } from '../read/tree.ts';
import { discoveryOf, type Limits } from '../schema/discovery.ts';
import type { ParsedService } from '../schema/service.ts';
import { builtIn, type SourceTypes, type WatcherConfig } from '../schema/watchers.ts';
import { config as builtInConfig, configWith, type ParsedConfig } from '../schema.ts';
import type { Judge } from './judge.ts';

/** The valid parts; invalid ones are reported and left out. */
export type Parts = {
  /** By name; undefined where the watcher is not valid. */
  readonly watchers: ReadonlyMap<string, WatcherConfig | undefined>;
  /** The source of each watcher, as far as it is known. */
  readonly sources: ReadonlyMap<string, Source>;
  readonly services: ReadonlyMap<string, ParsedService>;
  /** By watcher; undefined where the limits are not valid. */
  readonly discover: ReadonlyMap<string, Limits | undefined>;
  readonly rest: Partial<Rest>;
};

export type Rest = Omit<ParsedConfig, 'watchers' | 'services' | 'discover'>;

/** `finish` is applied to the output of each part. */
export function partsOf(
  written: unknown,
  types: SourceTypes,
  judge: Judge,
  finish: <T>(schema: z.ZodType, part: T) => T,
): Parts {
  const schema = types === builtIn ? builtInConfig : configWith(types);
  const { watchers, services, discover, ...others } = schema.shape;
  if (!isRecord(written)) {
    judge.part(schema, [], written);
    return { watchers: new Map(), sources: new Map(), services: new Map(), discover: new Map(), rest: {} };
  }
  const unknown = Object.entries(written).filter(([key]) => !Object.hasOwn(schema.shape, key));
  judge.part(schema, [], { ...Object.fromEntries(unknown), watchers: {} });

  const rest: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(others)) {
    const output = judge.part(part, [key], written[key]);
    if (output !== undefined) rest[key] = finish(part, output);
  }
  const entriesOf = <V>(
    key: 'watchers' | 'services' | 'discover',
    part: z.ZodType<Record<string, V>>,
    partOf: (name: string) => z.ZodType<Record<string, V>> = () => part,
  ): [string, V | undefined][] => {
    const value = written[key];
    if (!isRecord(value)) return Object.entries(finish(part, judge.part(part, [key], value) ?? {}));
    return Object.entries(value).map(([name, entry]) => {
      const its = partOf(name);
      const output = judge.part(its, [key], { [name]: key === 'watchers' ? withType(name, entry, types) : entry });
      return [name, output && finish(its, output)[name]];
    });
  };
  const sources = sourcesOf(written.watchers, types);
  return {
    watchers: new Map(entriesOf('watchers', watchers)),
    sources,
    services: new Map(
      entriesOf('services', services).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    discover: new Map(
      entriesOf('discover', discover, (name) => {
        const source = sources.get(name);
        return source?.discovery === undefined ? discover : z.record(discover.unwrap().keyType, discoveryOf(source));
      }),
    ),
    rest: rest as Partial<Rest>,
  };
}

/** The source of each watcher, by the watcher's name. */
function sourcesOf(watchers: unknown, types: SourceTypes): ReadonlyMap<string, Source> {
  const named = Object.entries(isRecord(watchers) ? watchers : {}).flatMap(([name, entry]): [string, Source][] => {
    const source = types.get(typeOf(name, entry, types) ?? '');
    return source === undefined ? [] : [[name, source]];
  });
  return new Map(named);
}

/** The written type, or the name of the watcher, where that is a type; undefined where `type` is not a text. */
function typeOf(name: string, entry: unknown, types: SourceTypes): string | undefined {
  const written = isRecord(entry) ? entry.type : undefined;
  if (written === undefined && types.has(name)) return name;
  return typeof written === 'string' ? written : undefined;
}

function withType(name: string, entry: unknown, types: SourceTypes): unknown {
  const settings = entry ?? {};
  return types.has(name) && isRecord(settings) && !('type' in settings) ? { type: name, ...settings } : settings;
}
