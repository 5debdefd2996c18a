/** Follows a watcher in a test and remembers what it said. */
import type { Endpoint, SourceEvent, Unfit, Update } from '../../src/model.ts';

type Said = Update | SourceEvent;

export type Listening = AsyncDisposable & {
  readonly said: readonly Said[];
  /** `address:port` of the newest endpoints of `key`, sorted; undefined before the first. */
  served(key: string): readonly string[] | undefined;
  endpoints(key: string): readonly Endpoint[] | undefined;
  /** `address:port` of those that are there and unfit, sorted. */
  unfit(key: string): readonly string[] | undefined;
  /** The newest reason why `key` is stale, or null where an answer came since. */
  staleReason(key: string): string | null;
  count(kind: Said['kind']): number;
  /** What the watcher threw; undefined while it runs and when it ended by itself. */
  readonly error: unknown;
  /** Whether the watcher has ended, by itself or with an error. */
  readonly isOver: boolean;
  /** Aborts, and waits for the end. */
  stop(): Promise<void>;
};

export function listen(start: (signal: AbortSignal) => AsyncIterable<Said>): Listening {
  const abort = new AbortController();
  const said: Said[] = [];
  const answers = new Map<string, readonly Endpoint[]>();
  const unfit = new Map<string, readonly Unfit[]>();
  const stale = new Map<string, string>();
  let error: unknown;
  let isOver = false;

  const follow = async (): Promise<void> => {
    for await (const event of start(abort.signal)) {
      said.push(event);
      if (event.kind === 'endpoints') {
        answers.set(event.key, event.endpoints);
        unfit.set(event.key, event.unfit ?? []);
        stale.delete(event.key);
      }
      if (event.kind === 'stale') stale.set(event.key, event.reason);
    }
  };
  const ended = follow()
    .catch((thrown: unknown) => {
      error = thrown;
    })
    .finally(() => {
      isOver = true;
    });
  const stop = async (): Promise<void> => {
    abort.abort();
    await ended;
  };
  return {
    said,
    served: (key) => placesOf(answers.get(key)),
    unfit: (key) => placesOf(unfit.get(key)),
    endpoints: (key) => answers.get(key),
    staleReason: (key) => stale.get(key) ?? null,
    count: (kind) => said.filter((event) => event.kind === kind).length,
    get error() {
      return error;
    },
    get isOver() {
      return isOver;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function placesOf(all: readonly Unfit[] | undefined): readonly string[] | undefined {
  return all?.map(({ address, port }) => `${address}:${port}`).sort();
}
