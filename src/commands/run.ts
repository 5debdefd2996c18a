/** `myelin run`: watch and apply until told to stop. */
import { hostname } from 'node:os';
import { openKeptFiles } from '../apply/files/kept-files.ts';
import { openDriver } from '../apply/open-driver.ts';
import { view } from '../catalog/catalog.ts';
import { endpointsFile, offersFile, overridesFile } from '../config/paths.ts';
import { maskConfig, maskWithin } from '../config/read/mask.ts';
import { Secrets } from '../config/read/secrets.ts';
import { exitCodes } from '../errors.ts';
import { Heartbeat } from '../http/probes.ts';
import { serveHttp } from '../http/serve.ts';
import { now, toWallClock, wallClock } from '../lib/clock.ts';
import { type Instance, main, type Occasion } from '../main.ts';
import { type OverrideRequest, OverrideStore } from '../reconcile/override-store.ts';
import type { Result } from '../reconcile/reconciler.ts';
import { Events } from '../report/events.ts';
import { KeptLog } from '../report/kept-log.ts';
import { createLog } from '../report/log.ts';
import { createMetrics } from '../report/metrics.ts';
import { Observer } from '../report/observer.ts';
import { OfferLog } from '../report/offer-log.ts';
import { statusOf } from '../report/read-status.ts';
import { ReloadOnlyLog } from '../report/reload-only-log.ts';
import { SourceLog } from '../report/source-log.ts';
import type { Status } from '../report/status.ts';
import { type Load, Rereading } from '../settings/reload.ts';
import { loadSettings, type Settings } from '../settings/settings.ts';
import { KnownEndpoints } from '../sources/known-endpoints.ts';
import { KnownOffers } from '../sources/known-offers.ts';
import { ownVersion } from '../version.ts';
import type { Globals } from './globals.ts';

export type RunOptions = { readonly once?: true; readonly apply: boolean };

/** A reconcile takes a check and a start at most; what takes this long hangs and will not end by itself. */
const stuckAfterMs = 180_000;

export async function run(globals: Globals, options: RunOptions): Promise<number> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const end = Promise.withResolvers<number>();
  const stopped = options.once ? exitCodes.unexpected : exitCodes.ok;
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.resolve(stopped));
  // What is under way is broken off at once, also where Myelin has yet to begin.
  void end.promise.then(() => stopping.abort());
  try {
    return await runUntil({ end, stopping, stopped }, globals, options);
  } catch (error) {
    if (error !== signal.reason || !signal.aborted) throw error;
    return end.promise;
  }
}

type Life = {
  /** With the exit code. */
  readonly end: PromiseWithResolvers<number>;
  readonly stopping: AbortController;
  /** The exit code where somebody orders it to end. */
  readonly stopped: number;
};

async function runUntil({ end, stopping, stopped }: Life, globals: Globals, options: RunOptions): Promise<number> {
  const { signal } = stopping;
  const startedAt = now();
  const version = ownVersion();
  // It would end this process while nobody listens yet, or any more; what it is about is read in either case.
  process.on('SIGHUP', () => {});

  const secrets = new Secrets();
  const masked = <T>(value: T): T => maskWithin(value, secrets.all);
  const load: Load = async (onRead) => {
    const settings = await loadSettings(globals.config, process.env, onRead);
    secrets.configured(settings.secrets);
    return options.apply ? settings : writingOnly(settings);
  };
  const settings = await load();
  const { config } = settings;
  const running: { instance: Instance | null } = { instance: null };
  const { logLevel: level, logFormat: format } = globals;
  const log = createLog({ level, format, destination: 1, secrets: () => secrets.all });
  // A source's library may leave a promise to nobody: that is no reason to end what serves.
  process.on('unhandledRejection', (err) => {
    log.error({ err }, 'a failure that nobody waited for; Myelin goes on');
    if (options.once) end.resolve(exitCodes.unexpected);
  });
  const metrics = createMetrics(version, () => plainStatus());
  const events = new Events({ now: wallClock, masked });
  const observer = new Observer(log, metrics, events, now);
  const sourceLog = new SourceLog(log, events);
  const keptLog = new KeptLog(log, events);
  const offerLog = new OfferLog(log, events);
  const reloadOnlyLog = new ReloadOnlyLog(log);
  const heartbeat = new Heartbeat(stuckAfterMs, now);

  const overrides = await OverrideStore.open(overridesFile(config), now);
  await using control = await openDriver(
    {
      config,
      env: process.env,
      whyNoTakeover: () => blindness(running.instance),
      onChange: () => running.instance?.poke(),
      onEvent: (event) => observer.control(event),
    },
    signal,
  );
  const onTrouble = (error: unknown): void => observer.control({ kind: 'trouble', error });
  await using offers = await KnownOffers.open(offersFile(config), onTrouble);
  await using endpoints = await KnownEndpoints.open(endpointsFile(config), onTrouble);
  const files = await openKeptFiles(config, onTrouble);
  const instance = main(
    {
      settings,
      control,
      overrides,
      offers,
      endpoints,
      files,
      heartbeat,
      env: process.env,
      hostname: hostname(),
      onSecret: secrets.used,
      onSource: (event, refused, isNews) => sourceLog.note(event, refused, isNews),
      onJudged: (leftOut) => sourceLog.judged(leftOut),
      onResult(result, occasion) {
        // The newest one: results need not come in the order in which their catalogs did.
        keptLog.note(instance.collection.catalog, now());
        offerLog.note(instance.collection.unserved);
        observer.result(result, occasion, instance.reconciler.apart);
        if (result.kind === 'reload' && control.runtime !== null) reloadOnlyLog.note(control.running?.sections ?? []);
        const exitCode = options.once ? whenDone(result, occasion, options) : null;
        if (exitCode !== null) end.resolve(exitCode);
      },
      onReload: (reasons) => observer.reload(reasons),
      onOverride: (override, what) => observer.override(override, what),
      onDrift: (drift, what) => observer.drift(drift, what),
      onTrouble,
      onError(error) {
        observer.broke(error);
        if (options.once) end.resolve(exitCodes.unexpected);
      },
    },
    signal,
  );
  const rereading = new Rereading(load, instance, log, events);
  const plainStatus = (): Status =>
    statusOf({ instance, control, observer, overrides, version, startedAt, refusedConfig: rereading.refused }, now());

  const ending: Promise<unknown>[] = [instance.ended];
  try {
    const sources = {
      status: () => masked(plainStatus()),
      plainStatus,
      events,
      metrics,
      heartbeat,
      config: () => masked(maskConfig(instance.settings.config)),
      reload: async () => masked(await instance.reload()),
      accept(service: string): number | null {
        if (!instance.collection.config.services.has(service)) return null;
        const endpoints = instance.accept(service);
        if (endpoints > 0) observer.accepted(service, endpoints);
        return endpoints;
      },
      order: (override: OverrideRequest) => instance.override(override),
      stop: () => end.resolve(stopped),
      onError: (err: unknown) => log.error({ err }, 'a request could not be answered'),
      onWait: (err: unknown) => log.info({ err }, 'this address is had once the Myelin before this one has ended'),
    };
    const { closed } = await serveHttp(config, sources, signal);
    ending.push(closed, rereading.follow(toWallClock(startedAt), signal));
    log.info({ version, config: globals.config, watchers: Object.keys(config.watchers) }, 'myelin runs');
    running.instance = instance;
    instance.start();
    const exitCode = await end.promise;
    await rest();
    if (instance.settings.config.haproxy.onExit === 'stop' && !options.once) await control.stop();
    return exitCode;
  } finally {
    // Where it could not even begin, a HAProxy that was running already is left as it is.
    await rest();
    sourceLog.flush();
    log.info({}, 'myelin ends');
  }

  async function rest(): Promise<void> {
    stopping.abort();
    await Promise.all(ending);
  }
}

/** Why nothing is known to serve; null: somebody is, or the sources say that nobody is. */
function blindness(instance: Instance | null): string | null {
  if (instance === null) return null;
  const { waitingFor } = view(instance.collection.catalog);
  return instance.isBlind ? `no answer of ${waitingFor.join(', ')} yet, and nobody is known to serve` : null;
}

/** For an init container: the file is written, HAProxy is left to whoever starts it. */
function writingOnly(settings: Settings): Settings {
  const haproxy = { ...settings.config.haproxy, control: 'none' } as const;
  return { ...settings, config: { ...settings.config, haproxy } };
}

/**
 * The exit code of `--once` after this result; null: there is more to come. A file that only begins without some of its
 * sources is worth having: whoever reads it next has a Myelin beside it that goes on waiting for them.
 */
function whenDone(result: Result, { catalog }: Occasion, { apply }: RunOptions): number | null {
  const { open, waitingFor, isBlind } = view(catalog);
  // Before that it is about the file that was found, good or not.
  if (!open) return null;
  switch (result.kind) {
    case 'noop':
    case 'runtime':
    case 'reload':
      return waitingFor.length === 0 || !(apply || isBlind) ? exitCodes.ok : exitCodes.sourceTimeout;
    case 'rejected':
      return exitCodes.configRejected;
    case 'failed':
      return result.error.exitCode;
    case 'pending':
    case 'postponed':
      return null;
  }
}
