/** What `check` tries the templates with: made-up servers, or those that the sources name now. */
import { view } from '../../catalog/catalog.ts';
import { nothingKnown } from '../../catalog/collection.ts';
import { report, type ServiceReport } from '../../catalog/report.ts';
import { withDiscovered } from '../../config/discover/discovered.ts';
import { bindAt } from '../../config/discover/read-option.ts';
import type { Config } from '../../config/schema.ts';
import { AppError } from '../../errors.ts';
import { now } from '../../lib/time/clock.ts';
import type { Endpoint } from '../../model.ts';
import type { Settings } from '../../settings/settings.ts';
import { askSources } from './ask-sources.ts';

export type Trial = {
  /** With discovered services, real or made-up. */
  readonly config: Config;
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** Services that stand for others, which may listen elsewhere. */
  readonly madeUp: ReadonlySet<string>;
  /** What it is tried with, in words. */
  readonly what: string;
  /** To whom it fails. */
  readonly advice: string;
  readonly warnings: readonly string[];
};

/** A server for every backend, so that server options are checked too; from a documentation range. */
const example: Endpoint = { id: 'example', address: '192.0.2.1', port: 80, weight: 1, state: 'ready' };

export function madeUpTrial(written: Config): Trial {
  const config = withExampleServices(written);
  const names = [...config.services.keys()];
  return {
    config,
    endpoints: new Map(names.map((name) => [name, [example]])),
    madeUp: new Set(names.filter((name) => !written.services.has(name))),
    what: 'made-up servers',
    advice:
      'this is with made-up servers, which have no tags and no meta; `myelin check --live` tries with those that the sources name',
    warnings: [],
  };
}

/** Begins with nothing: what was known before does not count. Throws MYELIN_SOURCE_TIMEOUT naming each source that does not answer. */
export async function liveTrial(settings: Settings, env: NodeJS.ProcessEnv): Promise<Trial> {
  const { config, catalog, rejected } = await askSources(withAllRequired(settings), env, {
    last: nothingKnown,
    remedy: 'see that the source runs and is reachable; `myelin check` tries with made-up servers and asks no source',
  });
  const { endpoints } = view(catalog);
  const count = [...endpoints.values()].reduce((sum, { length }) => sum + length, 0);
  const said = `what ${listed([...catalog.index.queriedWatchers].sort())} now`;
  return {
    config,
    endpoints,
    madeUp: new Set(),
    what: `${said}: ${count} ${count === 1 ? 'endpoint' : 'endpoints'}`,
    advice: `this is with ${said}`,
    warnings: [
      ...rejected.map(
        ({ watcher, service, reason }) => `${service}: ${watcher} offers it, and it is left out: ${reason}`,
      ),
      ...report(catalog, now()).services.flatMap(warningsOf),
    ],
  };
}

/** A source that nothing waits for at a start is waited for here: it was asked what it says. */
function withAllRequired(settings: Settings): Settings {
  const { config } = settings;
  const watchers = Object.entries(config.watchers).map(([name, watcher]) => [name, { ...watcher, required: true }]);
  return { ...settings, config: { ...config, watchers: Object.fromEntries(watchers) as Config['watchers'] } };
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'no source says';
  return `${names.join(' and ')} ${names.length === 1 ? 'says' : 'say'}`;
}

function warningsOf({ name, endpoints, unanswered, stale, refused, refusedCount }: ServiceReport): readonly string[] {
  const isEmpty = endpoints.ready + endpoints.draining === 0;
  const [first] = refused;
  const reason = stale === null ? '' : `: ${stale.reason}`;
  return [
    ...(unanswered.length > 0 ? [`${name}: ${unanswered.join(', ')} cannot answer about it${reason}`] : []),
    ...(isEmpty && unanswered.length === 0
      ? [`${name}: no endpoint of it may serve now, so no server of it is tried`]
      : []),
    ...(first === undefined
      ? []
      : [
          `${name}: ${first.part} ${JSON.stringify(first.id)} is left out: ${first.reason}` +
            (refusedCount > 1 ? ` (and ${refusedCount - 1} more)` : ''),
        ]),
  ];
}

/** With a service as each source may offer one, so that what they all have is looked at as well. */
function withExampleServices(config: Config): Config {
  const services = new Map(config.services);
  for (const discovery of config.discoveries) {
    const { watcher, key, limits } = discovery;
    const name = `discovered:${watcher}${key.slice(1)}`;
    const service = { key: `${key}/example`, name, owner: '', createdAt: 0, options: {} };
    const served = withDiscovered(config, [{ discovery, service }]);
    const [rejected] = served.rejected;
    if (rejected !== undefined) throw new AppError('MYELIN_CONFIG_INVALID', `discover.${watcher}: ${rejected.reason}`);
    const example = served.config.services.get(name);
    // This does not check whether a port is free.
    const bind = limits.ports === undefined ? [] : [bindAt(limits, limits.ports.first)];
    if (example !== undefined) services.set(name, { ...example, bind });
  }
  return { ...config, services };
}
