/** Keeps one supervised watcher a configured source running, and restarts only those whose queries changed. */
import type { Source } from '../../watchers/kit/source.ts';
import type { WatcherConfig } from '../config/schema/watchers.ts';
import type { Config } from '../config/schema.ts';
import { AppError, describe } from '../errors.ts';
import type { Query, SourceEvent, Update, Watch } from '../model.ts';
import { supervise } from './supervise.ts';

type Running = {
  /** Where and how it asks. */
  readonly watcher: string;
  readonly source: Source;
  /** What it asks. */
  readonly queries: string;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
};

type Configured = { readonly watcher: WatcherConfig; readonly source: Source };

export class Sources {
  readonly #running = new Map<string, Running>();
  readonly #onEvent: (event: SourceEvent) => void;
  readonly #onFault: (error: AppError) => void;
  readonly #env: NodeJS.ProcessEnv;
  readonly #onSecret: (secret: string) => void;
  #isDisposed = false;

  /**
   * `onFault` is told where `onEvent` throws, whose event counts as a query that failed; `onSecret` of what sources
   * prove themselves with.
   */
  constructor(
    env: NodeJS.ProcessEnv,
    onEvent: (event: SourceEvent) => void,
    onFault: (error: AppError) => void,
    onSecret: (secret: string) => void = () => {},
  ) {
    this.#onSecret = onSecret;
    this.#env = env;
    this.#onEvent = onEvent;
    this.#onFault = onFault;
  }

  /** Starts what is new in `config` as it was written, stops what is not in it any more, leaves alone what asks the same as before. */
  async use(config: Config): Promise<void> {
    const wanted = new Map(
      Object.entries(config.watchers).map(([name, watcher]) => [
        name,
        { watcher, source: config.sources.get(name), queries: queriesOf(config, name) },
      ]),
    );
    const before = new Map(this.#running);
    const stopping = [...before].filter(([name, source]) => {
      const now = wanted.get(name);
      return (
        now === undefined ||
        now.source !== source.source ||
        whereOf(now.watcher) !== source.watcher ||
        whatOf(now.queries) !== source.queries
      );
    });
    await Promise.all(stopping.map(([name]) => this.#stop(name)));
    for (const [name, { watcher, source, queries }] of wanted) {
      if (this.#isDisposed || this.#running.has(name)) continue;
      if (source === undefined) throw new Error(`the config does not say what ${name} is`);
      this.#start(name, { watcher, source }, queries, before.get(name)?.watcher === whereOf(watcher));
    }
  }

  /** Nothing starts after it, also where a new config is just being taken over. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await Promise.all([...this.#running.keys()].map((name) => this.#stop(name)));
  }

  /** `isKnown`: the same source has other queries. That is no start of it: only the new ones have had no result yet. */
  #start(name: string, { watcher, source }: Configured, queries: readonly Query[], isKnown: boolean): void {
    const stop = new AbortController();
    const env = this.#env;
    const onSecret = this.#onSecret;
    let made: Watch | null = null;
    // A watcher that cannot even be made is a source that fails; one that was made remembers what it read.
    async function* watch(signal: AbortSignal): AsyncGenerator<Update, void, undefined> {
      made ??= await source.open(watcher, { env, onSecret });
      yield* made(queries, signal);
    }
    const follow = async (): Promise<void> => {
      let isGoingOn = isKnown;
      for await (const event of supervise(name, watch, { signal: stop.signal })) {
        // What it still had to say when it was let go may be the result of another query under the same key.
        if (stop.signal.aborted) return;
        if (!(isGoingOn && event.kind === 'started')) this.#receive(event);
        isGoingOn = false;
      }
    };
    this.#running.set(name, { watcher: whereOf(watcher), source, queries: whatOf(queries), stop, ended: follow() });
  }

  /** Does not throw: what a source says, which may be anybody's data, ends neither this process nor what it says next. */
  #receive(event: SourceEvent): void {
    try {
      this.#onEvent(event);
    } catch (cause) {
      const { watcher } = event;
      const error = new AppError('MYELIN_SOURCE_FAILED', `what ${watcher} said could not be taken`, { cause });
      this.#onFault(error);
      if (!('key' in event) || event.kind === 'stale') return;
      this.#receive({ watcher, kind: 'stale', key: event.key, reason: describe(error) });
    }
  }

  async #stop(name: string): Promise<void> {
    const source = this.#running.get(name);
    this.#running.delete(name);
    source?.stop.abort();
    await source?.ended;
  }
}

function queriesOf({ services, discoveries }: Config, watcher: string): Query[] {
  return [...[...services.values()].flatMap(({ origins }) => origins), ...discoveries]
    .filter((query) => query.watcher === watcher)
    .map(({ key, query }) => ({ key, settings: query }));
}

/** How its results are judged is not the source's matter. */
function whereOf(watcher: WatcherConfig): string {
  return JSON.stringify({ ...watcher, required: undefined, maxShrink: undefined, maxServers: undefined });
}

function whatOf(queries: readonly Query[]): string {
  return JSON.stringify(queries);
}
