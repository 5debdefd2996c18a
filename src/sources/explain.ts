/** Asks the sources of one service, now, what they say of each of its instances. */
import type { Config, Origin } from '../config/schema.ts';
import { describe } from '../errors.ts';
import type { Ms, SourceAnswer } from '../model.ts';

export type Explanation = {
  readonly watcher: string;
  /** null: the source cannot be asked like that, or did not answer. */
  readonly answer: SourceAnswer | null;
  /** Why it did not answer; null: it did, or cannot be asked like that. */
  readonly failure: string | null;
};

type ExplainOptions = { readonly env: NodeJS.ProcessEnv; readonly onSecret: (secret: string) => void };

const timeoutMs: Ms = 6000;

/** Does not reject: a source in trouble is a part of the answer. */
export function explain(
  config: Pick<Config, 'watchers' | 'sources'>,
  origins: readonly Origin[],
  { env, onSecret }: ExplainOptions,
): Promise<readonly Explanation[]> {
  return Promise.all(
    origins.map(async ({ watcher, key, query }): Promise<Explanation> => {
      const source = config.sources.get(watcher);
      const settings = config.watchers[watcher];
      if (source?.explain === undefined || settings === undefined) return { watcher, answer: null, failure: null };
      const stop = new AbortController();
      const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(timeoutMs)]);
      try {
        const answer = await source.explain(settings, { key, settings: query }, { env, onSecret, signal });
        return { watcher, answer, failure: null };
      } catch (error) {
        return { watcher, answer: null, failure: describe(error) };
      } finally {
        stop.abort();
      }
    }),
  );
}
