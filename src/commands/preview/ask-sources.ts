/** Asks the sources once, for commands that only look. */
import { view } from '../../catalog/catalog.ts';
import { type Collection, collect, createCollection, type Remembered } from '../../catalog/collection.ts';
import { maskSecrets } from '../../config/read/mask.ts';
import { Secrets } from '../../config/read/secrets.ts';
import { AppError } from '../../errors.ts';
import { ownAddresses } from '../../lib/net/own-addresses.ts';
import { now } from '../../lib/time/clock.ts';
import type { Ms } from '../../model.ts';
import { printableLines } from '../../report/text/printable.ts';
import type { Settings } from '../../settings/settings.ts';
import { Sources } from '../../sources/sources.ts';

type Asked = {
  /** What it begins with. */
  readonly last: Remembered;
  /** Where a source does not answer. */
  readonly remedy: string;
};

/** Throws MYELIN_SOURCE_TIMEOUT naming the required sources that did not answer completely within `startTimeout`. */
export async function askSources(
  settings: Settings,
  env: NodeJS.ProcessEnv,
  { last, remedy }: Asked,
): Promise<Collection> {
  const { config } = settings;
  const secrets = new Secrets(settings.secrets);
  let collection = createCollection(config, last, now(), ownAddresses(env));
  const answered = Promise.withResolvers<void>();
  const failures = new Map<string, string>();
  const patience = new Patience(config.startTimeout, (limitMs) => {
    const missing = view(collection.catalog).waitingFor.map(
      (name) => `${name} (${failures.get(name) ?? 'no answer yet'})`,
    );
    answered.reject(
      new AppError(
        'MYELIN_SOURCE_TIMEOUT',
        maskSecrets(`no complete answer within ${seconds(limitMs)} from ${missing.join(', ')}`, secrets.all),
        { remedy },
      ),
    );
  });
  const tell = (watcher: string, reason: string): void => {
    if (!failures.has(watcher) && view(collection.catalog).waitingFor.includes(watcher)) {
      const restMs = patience.shorten(downMs);
      process.stderr.write(
        `waiting for ${watcher}, ${seconds(restMs)} at most: ${printableLines(maskSecrets(reason, secrets.all))}\n`,
      );
    }
    failures.set(watcher, reason);
  };
  const noticed = setTimeout(() => {
    const silent = view(collection.catalog).waitingFor.filter((name) => !failures.has(name));
    if (silent.length > 0)
      process.stderr.write(`waiting for ${silent.join(', ')}, ${seconds(patience.restMs)} at most: no answer yet\n`);
  }, silentMs);
  await using sources = new Sources({
    env,
    onEvent(event) {
      if (event.kind === 'failed' || event.kind === 'stale') tell(event.watcher, event.reason);
      collection = collect(collection, event, now());
      if (view(collection.catalog).open) answered.resolve();
    },
    onFault: answered.reject,
    onSecret: secrets.used,
  });
  try {
    await sources.use(config);
    if (!view(collection.catalog).open) await answered.promise;
    return collection;
  } finally {
    clearTimeout(noticed);
    patience.end();
  }
}

/** A source that is down may come back within moments; who looks does not wait for it as `run` does. */
const downMs: Ms = 5000;

/** A wait that takes longer than this is told. */
const silentMs: Ms = 3000;

/** How long a command waits, which may become less. */
class Patience {
  readonly #startedAt = now();
  readonly #onOver: (limitMs: Ms) => void;
  #limitMs: Ms;
  #timer: NodeJS.Timeout;

  constructor(limitMs: Ms, onOver: (limitMs: Ms) => void) {
    this.#limitMs = limitMs;
    this.#onOver = onOver;
    this.#timer = this.#start();
  }

  get restMs(): Ms {
    return Math.max(0, this.#startedAt + this.#limitMs - now());
  }

  /** To this from now on, unless the rest is less. Returns the rest. */
  shorten(toMs: Ms): Ms {
    this.#limitMs = Math.min(this.#limitMs, now() - this.#startedAt + toMs);
    this.end();
    this.#timer = this.#start();
    return this.restMs;
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #start(): NodeJS.Timeout {
    return setTimeout(() => this.#onOver(this.#limitMs), this.restMs);
  }
}

function seconds(ms: Ms): string {
  return `${ms < 1000 ? Math.max(1, Math.ceil(ms / 100)) / 10 : Math.round(ms / 1000)} s`;
}
