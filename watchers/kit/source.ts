/**
 * A source is one value: how it is configured, how it is queried, and how it is watched. The checks of the config, its JSON Schema,
 * `myelin init` and the reference are made from it. Nothing else names a source.
 */
import { z } from 'zod';
import type { SourceAnswer, Watch } from '../../src/model.ts';
import type { ServiceOption } from './service-options.ts';
import { someTime } from './values.ts';

/** The settings that every watcher has: how its results are judged. */
export const commonSettings = z.strictObject({
  required: z
    .boolean()
    .default(true)
    .describe('Nothing is rendered until this source has answered once, or `startTimeout` is over.'),
  maxServers: z
    .number()
    .int()
    .min(1)
    .default(1000)
    .describe('So many endpoints of one service are taken, ready ones first, then by name; further ones are left out.'),
  maxShrink: z
    .strictObject({
      share: z
        .number()
        .min(0)
        .max(1)
        .default(0.5)
        .describe('The part of a service’s endpoints that may go at once, 0 to 1; 1 holds nothing back.'),
      hold: someTime
        .prefault('60s')
        .describe('How long the source must go on saying so; losses within this time count together.'),
    })
    .prefault({})
    .describe('A larger loss is held back: those that vanished serve on for `hold`, or until `myelin accept SERVICE`.'),
});

export type CommonSettings = z.output<typeof commonSettings>;

export function withCommon<Shape extends z.core.$ZodLooseShape>({ shape }: z.ZodObject<Shape>) {
  return z.strictObject({ ...shape, ...commonSettings.shape });
}

/** As `process.env`; the types of a source of your own need none of Node's. */
type Environment = Readonly<Record<string, string | undefined>>;

/** The second argument of `open`. */
type OpenContext = {
  /** For defaults of the settings, such as the variables of the source's own command line. */
  readonly env: Environment;
  /** To be called with each credential that the source uses: these are masked in everything that people see. */
  readonly onSecret: (secret: string) => void;
  /** Aborts when the source is stopped, perhaps before `open` has ended. */
  readonly signal: AbortSignal;
};

/** The second argument of `check`. */
export type CheckContext = {
  readonly env: Environment;
  /** Reports a problem; `path` is within the settings of the watcher. */
  readonly report: (path: readonly (string | number)[], message: string) => void;
};

/** How a source discovers services that nobody listed: the value of `discover` for a watcher of this type. */
type SourceDiscovery<Settings, Keys extends z.ZodObject, Many> = {
  /** The keys that choose which services are discovered. Their limits are the same for all sources. */
  readonly keys: Keys;
  /** The queries for many services, each of which may fail by itself; `key` is unique among them. */
  queries(settings: Settings, keys: z.output<Keys>): readonly { readonly key: string; readonly query: Many }[];
  /** The key of the service that people call so, if this query found it; null: it cannot. For `myelin why`, which then asks for it. */
  keyOf?(name: string, query: Many): string | null;
  /** Options that say nothing to this source: a service that has one is refused, as it would wait for an effect. */
  readonly withoutEffect?: readonly ServiceOption[];
};

/** What `myelin init` writes: the smallest config that works, with the usual options as comments. */
export type SourceExample = {
  /** The part of the config with `watchers:` and its own settings. */
  readonly watcher: string;
  /** A query, as it stands behind the name of the watcher. */
  readonly query: string;
  /** The part with `discover:`, for a source that discovers services. */
  readonly discover?: string;
  /** Further files beside the config, by name. */
  readonly files?: Readonly<Record<string, string>>;
};

export type Definition<Settings extends z.ZodObject, Query extends z.ZodObject, Keys extends z.ZodObject, Many> = {
  /** The value of `type` in the config; for a source of your own that is its module instead. */
  readonly type: string;
  /** Its own settings, without the common ones (`commonSettings`). */
  readonly settings: Settings;
  /** A query for the endpoints of one service. A key `service` has the name of the service as its default. */
  readonly query: Query;
  readonly discovery?: SourceDiscovery<z.output<Settings> & CommonSettings, Keys, Many>;
  readonly example?: SourceExample;
  /** Whether its endpoints may be loopback addresses without `allowAddresses`: only where nobody else can write its data. */
  readonly trustsLoopback?: boolean;
  /** Checks that concern several keys. Synchronous. */
  check?(settings: z.output<Settings> & CommonSettings, context: CheckContext): void;
  /**
   * Asks the source, now, what it says of a service and of each of its instances, those included that get no traffic: for
   * `myelin why`. Rejects where the source does not say.
   */
  explain?(
    settings: z.output<Settings> & CommonSettings,
    query: { readonly key: string; readonly settings: z.output<Query> | Many },
    context: OpenContext,
  ): Promise<SourceAnswer>;
  /** Called only where such a watcher is configured: import here what takes long to load. */
  open(
    settings: z.output<Settings> & CommonSettings,
    context: OpenContext,
  ): Watch<z.output<Query> | Many> | Promise<Watch<z.output<Query> | Many>>;
};

/** A source with any settings. */
export type Source = Definition<z.ZodObject, z.ZodObject, z.ZodObject, unknown>;

/** `Many`: a query for services that nobody listed, for a source that discovers them. */
export function defineSource<
  Settings extends z.ZodObject,
  Query extends z.ZodObject,
  Keys extends z.ZodObject = z.ZodObject,
  Many = never,
>(definition: Definition<Settings, Query, Keys, Many>): Source {
  // Its functions are called with values that its own schemas have validated.
  return definition as unknown as Source;
}
