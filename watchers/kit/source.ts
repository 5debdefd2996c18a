/**
 * What a source is: one value that says how it is configured, what it can be asked, and how it is watched. The config's
 * checks, its JSON Schema, `myelin init` and the reference are made from it; nothing else names a source.
 */
import { z } from 'zod';
import type { Watch } from '../../src/model.ts';
import { someTime } from './values.ts';

/** What the settings of every watcher hold besides its own: how its answers are judged. */
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

/** What `open` is given beside the settings. */
type OpenContext = {
  /** For what the settings leave open, such as the variables of the source's own command line. */
  readonly env: Environment;
  /** To be called with each credential that the source uses: these are masked in everything that people see. */
  readonly onSecret: (secret: string) => void;
  /** Aborts when the source is stopped, perhaps before `open` has ended. */
  readonly signal: AbortSignal;
};

/** What `check` is given beside the settings. */
export type CheckContext = {
  readonly env: Environment;
  /** Reports what is wrong at a place within the settings of the watcher. */
  readonly report: (path: readonly (string | number)[], message: string) => void;
};

/** How services are found that nobody listed: what stands at `discover` for a watcher of this type. */
type SourceDiscovery<Settings, Keys extends z.ZodObject, Many> = {
  /** Which services are found; the limits within which these choose are the same for all sources. */
  readonly keys: Keys;
  /** The queries for many that come of it, each of which may fail by itself; `key` is unique among them. */
  queries(settings: Settings, keys: z.output<Keys>): readonly { readonly key: string; readonly query: Many }[];
};

/** What `myelin init` writes for it: the smallest config that works, with the usual options beside it as comments. */
export type SourceExample = {
  /** The part of the config with `watchers:` and its own settings. */
  readonly watcher: string;
  /** A query, as it stands behind the name of the watcher. */
  readonly query: string;
  /** The part with `discover:`, where it discovers. */
  readonly discover?: string;
  /** Files beside the config, by name, that are written with it. */
  readonly files?: Readonly<Record<string, string>>;
};

export type Definition<Settings extends z.ZodObject, Query extends z.ZodObject, Keys extends z.ZodObject, Many> = {
  /** What `type` of a watcher is; a source of your own has the module in its place. */
  readonly type: string;
  /** Its own settings; those of every watcher (`commonSettings`) come by themselves. */
  readonly settings: Settings;
  /** What a service says of where its endpoints are found. A key `service` is by default the name of the service. */
  readonly query: Query;
  readonly discovery?: SourceDiscovery<z.output<Settings> & CommonSettings, Keys, Many>;
  readonly example?: SourceExample;
  /** Whether endpoints on the loopback are taken unasked: only where nobody else can write what it says. */
  readonly trustsLoopback?: boolean;
  /** What no single key can tell, such as two that need each other. */
  check?(settings: z.output<Settings> & CommonSettings, context: CheckContext): void;
  /** What takes long to load is imported in here: it is called only where such a watcher is configured. */
  open(
    settings: z.output<Settings> & CommonSettings,
    context: OpenContext,
  ): Watch<z.output<Query> | Many> | Promise<Watch<z.output<Query> | Many>>;
};

/** A source as the program sees it, whatever its settings are. */
export type Source = Definition<z.ZodObject, z.ZodObject, z.ZodObject, unknown>;

/** `Many`: a query for services that nobody listed, where the source discovers. */
export function defineSource<
  Settings extends z.ZodObject,
  Query extends z.ZodObject,
  Keys extends z.ZodObject = z.ZodObject,
  Many = never,
>(definition: Definition<Settings, Query, Keys, Many>): Source {
  // What it is called with has gone through its own schemas.
  return definition as unknown as Source;
}
