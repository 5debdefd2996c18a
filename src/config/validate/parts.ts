/** Judges every watcher, every service and every other key by itself, so that one mistake does not hide the next. */
import type { z } from 'zod';
import { isRecord } from '../read/tree.ts';
import { type Limits, type ParsedConfig, type ParsedService, config as schema, type WatcherConfig } from '../schema.ts';
import type { Judge } from './judge.ts';

/** What is valid; what is not has been reported and is left out. */
export type Parts = {
  /** By name; undefined where the watcher is not valid. */
  readonly watchers: ReadonlyMap<string, WatcherConfig | undefined>;
  readonly services: ReadonlyMap<string, ParsedService>;
  /** By watcher; undefined where the limits are not valid. */
  readonly discover: ReadonlyMap<string, Limits | undefined>;
  readonly rest: Partial<Rest>;
};

export type Rest = Omit<ParsedConfig, 'watchers' | 'services' | 'discover'>;

/** `finish` is applied to the output of each part. */
export function partsOf(written: unknown, judge: Judge, finish: <T>(schema: z.ZodType, part: T) => T): Parts {
  const { watchers, services, discover, ...others } = schema.shape;
  if (!isRecord(written)) {
    judge.part(schema, [], written);
    return { watchers: new Map(), services: new Map(), discover: new Map(), rest: {} };
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
  ): [string, V | undefined][] => {
    const value = written[key];
    if (!isRecord(value)) return Object.entries(finish(part, judge.part(part, [key], value) ?? {}));
    return Object.entries(value).map(([name, entry]) => {
      const output = judge.part(part, [key], { [name]: key === 'watchers' ? withType(name, entry) : entry });
      return [name, output && finish(part, output)[name]];
    });
  };
  return {
    watchers: new Map(entriesOf('watchers', watchers)),
    services: new Map(
      entriesOf('services', services).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    discover: new Map(entriesOf('discover', discover)),
    rest: rest as Partial<Rest>,
  };
}

/** A watcher's type defaults to its name, where that is one. */
function withType(name: string, entry: unknown): unknown {
  const settings = entry ?? {};
  const isType = schema.shape.watchers.valueType.options.some(({ shape }) => shape.type.value === name);
  return isType && isRecord(settings) && !('type' in settings) ? { type: name, ...settings } : settings;
}
