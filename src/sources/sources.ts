/** Runs a supervised watcher for each configured source, and restarts only those with changed settings or queries. */
import type { Source } from '../../watchers/kit/source.ts';
import type { WatcherConfig } from '../config/schema/watchers.ts';
import type { Config, Origin } from '../config/schema.ts';
import { AppError, describe } from '../errors.ts';
import { endsWithin } from '../lib/time/ends-within.ts';
import type { Ms, Query, SourceEvent, Update, Watch } from '../model.ts';
import { type Explanation, explain } from './explain.ts';
import { supervise } from './supervise.ts';

export type SourcesOptions = {
  readonly env: NodeJS.ProcessEnv;
  readonly onEvent: (event: SourceEvent) => void;
  /** `onEvent` threw; its event counts as a failed query. */
  readonly onFault: (error: AppError) => void;
  /** This watcher did not end in time after it was stopped: it is left alone, and nothing waits for it. */
  readonly onHanging?: (watcher: string) => void;
  /** A credential that a source uses. */
  readonly onSecret?: (secret: string) => void;
  /** How long a watcher may take to end. */
  readonly stopWithinMs?: Ms;
};

type Configured = { readonly settings: WatcherConfig; readonly source: Source; readonly queries: readonly Query[] };

type Running = Configured & { readonly stop: AbortController; readonly ended: Promise<void> };

/** Long enough to close connections; short enough for a stop within the ten seconds that container runtimes allow. */
const usualStopMs: Ms = 5000;

export class Sources implements AsyncDisposable {
  readonly #options: SourcesOptions;
  readonly #running = new Map<string, Running>();
  #isDisposed = false;

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  /** Starts the watchers that are new in `config`, stops those that are not in it, and keeps unchanged ones. */
  async use(config: Config): Promise<void> {
    const wanted = Object.entries(config.watchers).map(([name, settings]): [string, Configured] => {
      const source = config.sources.get(name);
      if (source === undefined) throw new Error(`the config does not say what ${name} is`);
      return [name, { settings, source, queries: queriesOf(config, name) }];
    });
    const before = new Map(this.#running);
    const next = new Map(wanted);
    const stopping = [...before].filter(([name, running]) => {
      const now = next.get(name);
      return now === undefined || !isSameSource(running, now) || !isSameJson(running.queries, now.queries);
    });
    await Promise.all(stopping.map(([name]) => this.#stop(name)));
    for (const [name, configured] of next) {
      if (this.#isDisposed || this.#running.has(name)) continue;
      const old = before.get(name);
      this.#start(name, configured, old !== undefined && isSameSettings(old, configured));
    }
  }

  /** What the sources of these queries say now of each instance. Does not reject. */
  explain(config: Config, origins: readonly Origin[]): Promise<readonly Explanation[]> {
    const { env, onSecret = () => {} } = this.#options;
    return explain(config, origins, { env, onSecret });
  }

  /** Nothing starts after it, not even where `use` is still waiting. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await Promise.all([...this.#running.keys()].map((name) => this.#stop(name)));
  }

  /** `isKnown`: only the queries of the source change: it does not count as started, only new queries lack a result. */
  #start(name: string, configured: Configured, isKnown: boolean): void {
    const { settings, source, queries } = configured;
    const { env, onSecret = () => {} } = this.#options;
    const stop = new AbortController();
    let opened: Watch | null = null;
    // If `open` throws, the source has failed. The opened watcher is kept over failures: it remembers what it read.
    const watch = async (signal: AbortSignal): Promise<AsyncIterable<Update>> => {
      opened ??= await source.open(settings, { env, onSecret, signal });
      return opened(queries, signal);
    };
    const follow = async (): Promise<void> => {
      let isRestart = isKnown;
      for await (const event of supervise(name, watch, { signal: stop.signal })) {
        // After a stop, a late result may belong to another query with the same key.
        if (stop.signal.aborted) return;
        if (!(isRestart && event.kind === 'started')) this.#receive(event);
        isRestart = false;
      }
    };
    this.#running.set(name, { ...configured, stop, ended: follow() });
  }

  /** Does not throw: data of a source, which anybody may have written, must not end the process or the source. */
  #receive(event: SourceEvent): void {
    try {
      this.#options.onEvent(event);
    } catch (cause) {
      const { watcher } = event;
      const error = new AppError('MYELIN_SOURCE_FAILED', `an update of ${watcher} could not be processed`, { cause });
      this.#options.onFault(error);
      if (!('key' in event) || event.kind === 'stale') return;
      this.#receive({ watcher, kind: 'stale', key: event.key, reason: describe(error) });
    }
  }

  async #stop(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined) return;
    const { onHanging, stopWithinMs = usualStopMs } = this.#options;
    this.#running.delete(name);
    running.stop.abort();
    if (!(await endsWithin(running.ended, stopWithinMs))) onHanging?.(name);
  }
}

function queriesOf({ services, discoveries }: Config, watcher: string): Query[] {
  return [...[...services.values()].flatMap(({ origins }) => origins), ...discoveries]
    .filter((query) => query.watcher === watcher)
    .map(({ key, query }) => ({ key, settings: query }));
}

function isSameSource(one: Configured, other: Configured): boolean {
  return one.source === other.source && isSameSettings(one, other);
}

/** The common settings say how results are judged: they do not concern the watcher. */
function isSameSettings(one: Configured, other: Configured): boolean {
  const own = ({ settings }: Configured) => ({
    ...settings,
    required: undefined,
    maxShrink: undefined,
    maxServers: undefined,
  });
  return isSameJson(own(one), own(other));
}

function isSameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
