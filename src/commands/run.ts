/** `myelin run`: watches and applies until a signal or `myelin stop` ends it. */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { openKeptFiles } from '../apply/files/kept-files.ts';
import { openDriver } from '../apply/open-driver.ts';
import { type LeftHaproxy, servingHaproxy } from '../apply/process/left.ts';
import { HealthView } from '../apply/runtime/health-view.ts';
import { HealthWatch } from '../apply/runtime/health-watch.ts';
import { view } from '../catalog/catalog.ts';
import { Certificates } from '../certificates/certificates.ts';
import {
  endpointsFile,
  formerKnownServicesFile,
  historyFile,
  knownServicesFile,
  overridesFile,
} from '../config/paths.ts';
import { maskConfig, maskWithin } from '../config/read/mask.ts';
import { Secrets } from '../config/read/secrets.ts';
import { AppError, errorCodes, exitCodes } from '../errors.ts';
import { Heartbeat } from '../http/probes.ts';
import { recent } from '../http/recent.ts';
import { serveHttp } from '../http/serve.ts';
import type { Instance } from '../instance/instance.ts';
import { readOnce } from '../lib/files/read-file.ts';
import { createMutex } from '../lib/mutex.ts';
import { now, toWallClock, wallClock } from '../lib/time/clock.ts';
import { endsWithin } from '../lib/time/ends-within.ts';
import { startPolling } from '../lib/time/poll.ts';
import { pause } from '../lib/time/retry.ts';
import { main } from '../main.ts';
import type { Moment, Ms, Problem } from '../model.ts';
import { type OverrideRequest, OverrideStore } from '../reconcile/overrides/override-store.ts';
import { answerService } from '../report/answer-service.ts';
import { answerWhy } from '../report/answer-why.ts';
import { Events } from '../report/events.ts';
import type { Happening } from '../report/happenings.ts';
import { History } from '../report/history/history.ts';
import { LastPlans } from '../report/last-plans.ts';
import { createLog, type LogOptions } from '../report/log.ts';
import { statusOf } from '../report/make-status.ts';
import { createMetrics } from '../report/metrics.ts';
import { Reporter } from '../report/reporter.ts';
import { routeList } from '../report/routes.ts';
import { serversOf } from '../report/servers.ts';
import type { Status } from '../report/status.ts';
import { type Load, Rereading } from '../settings/reload.ts';
import { loadSettings, type Settings } from '../settings/settings.ts';
import { KnownEndpoints } from '../sources/known-endpoints.ts';
import { KnownServices } from '../sources/known-services.ts';
import { ownVersion } from '../version.ts';
import type { Globals } from './globals.ts';

export type RunOptions = { readonly once?: true; readonly apply: boolean; readonly takeOver?: true };

/** A reconcile takes at most a check and a start of HAProxy; one that takes longer than this hangs. */
const stuckAfterMs = 180_000;

/** The part of the time in which HAProxy may be asked about its servers, however often somebody asks for the status. */
const healthShare = 1 / 10;
/** How often it is looked for backends that HAProxy's checks took. */
const healthEveryMs: Ms = 2000;
/** What HAProxy said last stands where it takes longer: one that hangs must not hold up the status that says so. */
const healthPatienceMs: Ms = 2000;

export async function run(globals: Globals, options: RunOptions): Promise<number> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const end = Promise.withResolvers<number>();
  const stopped = options.once ? exitCodes.unexpected : exitCodes.ok;
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => end.resolve(stopped));
  // A signal aborts work in progress at once, also during the start.
  const abort = (): void => stopping.abort();
  end.promise.then(abort, abort);
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
  /** The exit code after a signal, or `myelin stop`. */
  readonly stopped: number;
};

async function runUntil({ end, stopping, stopped }: Life, globals: Globals, options: RunOptions): Promise<number> {
  const { signal } = stopping;
  const startedAt = now();
  const version = ownVersion();
  // `Rereading` listens only for a part of the run: without this listener a SIGHUP at another time would end the process.
  process.on('SIGHUP', () => {});

  const secrets = new Secrets();
  const masked = <T>(value: T): T => maskWithin(value, secrets.all);
  const load: Load = async (readFile, onRead) => {
    const settings = await loadSettings(globals.config, process.env, onRead, readFile);
    secrets.configured(settings.secrets);
    return options.apply ? settings : writingOnly(settings);
  };
  const settings = await load(readOnce);
  const { config } = settings;
  const running: { instance: Instance | null } = { instance: null };
  const ofTerminal = process.stdout.isTTY ? 'pretty' : 'json';
  const style = (): ReturnType<LogOptions['style']> => {
    const said = running.instance?.log ?? config.log;
    return { level: globals.logLevel ?? said.level, format: globals.logFormat ?? said.format ?? ofTerminal };
  };
  const log = createLog({ style, destination: 1, secrets: () => secrets.all });
  const metrics = createMetrics({ version, status: () => freshStatus(), history: () => history });
  const events = new Events({ now: wallClock, masked });
  const reporter = new Reporter({ log, events, metrics, now });
  const plans = new LastPlans(wallClock);
  const report = (happening: Happening): void => {
    reporter.report(happening);
    plans.note(happening);
    const exitCode = options.once ? whenDone(happening, options) : null;
    if (exitCode === null) return;
    const outputs =
      exitCode === exitCodes.ok
        ? outputsDone(running.instance, startedAt, signal)
        : running.instance?.outputs.settled();
    Promise.resolve(outputs).then(() => end.resolve(exitCode), end.reject);
  };
  // A library of a source may leave a rejection unhandled, which must not end the process.
  process.on('unhandledRejection', (error) => report({ kind: 'unhandled_rejection', error }));
  const heartbeat = new Heartbeat(stuckAfterMs, now);

  const onTrouble = (error: unknown): void => report({ kind: 'trouble', error });
  const overrides = await OverrideStore.open(overridesFile(config), now, onTrouble);
  await using control = await openDriver(
    {
      config,
      env: process.env,
      whyNoTakeover: () => blindness(running.instance),
      takesOver: options.takeOver === true,
      onChange: () => running.instance?.poke(),
      onEvent: report,
    },
    signal,
  );
  await using history = new History({
    path: historyFile(config),
    now: wallClock,
    masked,
    onTrouble,
    onUnlisted: () => metrics.eventsDropped('history'),
  });
  events.subscribe((event) => history.add(event));
  await using discovered = await KnownServices.open(
    knownServicesFile(config),
    onTrouble,
    formerKnownServicesFile(config),
  );
  await using endpoints = await KnownEndpoints.open(endpointsFile(config), onTrouble);
  const files = await openKeptFiles(config, onTrouble);
  const certificates = await Certificates.open(config, { onChange: () => certificatesChanged() });
  const instance = main(
    {
      settings,
      driver: control,
      overrides,
      discovered,
      endpoints,
      files,
      certificates,
      heartbeat,
      env: process.env,
      hostname: hostname(),
      onSecret: secrets.used,
      report,
    },
    signal,
  );
  const certificatesChanged = (): void => {
    report({ kind: 'certificates', certificates: instance.certificates, caFiles: instance.caFiles });
    instance.certificatesChanged();
  };
  const health = new HealthView(control);
  const rereading = new Rereading(load, instance, report);
  const plainStatus = (): Status =>
    statusOf(
      {
        instance,
        control,
        reporter,
        overrides,
        health,
        version,
        config: resolve(globals.config),
        startedAt,
        refusedConfig: rereading.refused,
      },
      now(),
    );
  // Each answer asks the sources, and anybody on this machine may ask.
  const oneAtATime = createMutex();
  const askHealth = recent(() => health.refresh(), { share: healthShare });
  const refreshHealth = (): Promise<unknown> => endsWithin(askHealth(), healthPatienceMs);
  const freshStatus = async (): Promise<Status> => {
    await refreshHealth();
    return plainStatus();
  };

  const ending: Promise<unknown>[] = [instance.ended];
  try {
    const sources = {
      status: async () => masked(await freshStatus()),
      plainStatus,
      events,
      history,
      onReaderLost: () => metrics.eventsDropped('reader'),
      metrics,
      heartbeat,
      service: async (name: string) => {
        const parts = { instance, control, overrides, health, history, status: await freshStatus() };
        return masked(await answerService(parts, name));
      },
      async servers(service: string | null) {
        if (service !== null && !instance.collection.config.services.has(service)) return null;
        await refreshHealth();
        return serversOf({ instance, control, overrides, health }, service);
      },
      why: (about: string) =>
        oneAtATime(async () =>
          masked(
            await answerWhy({ instance, control, reporter, overrides, health, status: await freshStatus() }, about),
          ),
        ),
      routes: (service: string | null) => routeList(instance.collection.config, service),
      plans: async () => masked(await plans.list()),
      config: () => maskConfig(instance.settings.config, instance.settings.inserted),
      reload: async () => masked(await instance.reload()),
      accept(service: string | null) {
        const { services } = instance.collection.config;
        if (service !== null && !services.has(service)) return null;
        const accepted = instance.accept(service === null ? [...services.keys()] : [service]);
        for (const each of accepted) report({ kind: 'accepted', ...each });
        return accepted;
      },
      override: (request: OverrideRequest) => instance.override(request),
      async stop() {
        const left = await leftHaproxy();
        end.resolve(stopped);
        return left;
      },
      onError: (error: unknown) => report({ kind: 'request_failed', error }),
      onWait: (error: unknown) => report({ kind: 'listen_waits', error }),
      onRestored: (path: string) => report({ kind: 'socket_restored', path }),
      onTrouble,
    };
    const { closed } = await serveHttp(config, sources, signal);
    ending.push(closed, rereading.follow(toWallClock(startedAt), signal), certificates.follow(signal));
    report({ kind: 'started', version, config: globals.config, watchers: Object.keys(config.watchers) });
    running.instance = instance;
    report({ kind: 'certificates', certificates: instance.certificates, caFiles: instance.caFiles });
    instance.start();
    const healthWatch = new HealthWatch(control);
    await using _watching = startPolling(
      {
        everyMs: healthEveryMs,
        async poll() {
          for (const event of await healthWatch.look()) report(event);
        },
      },
      onTrouble,
      signal,
    );
    const exitCode = await end.promise;
    await rest();
    if (instance.settings.config.haproxy.onExit === 'stop' && !options.once) await control.stop();
    return exitCode;
  } finally {
    // Where the start failed, a HAProxy that was running already stays as it is.
    await rest();
    reporter.flush();
    report({ kind: 'stopped', haproxy: await leftHaproxy() });
  }

  /** What serves on without us. */
  async function leftHaproxy(): Promise<LeftHaproxy | null> {
    if (instance.settings.config.haproxy.onExit === 'stop' && !options.once) return null;
    try {
      return await servingHaproxy(config);
    } catch (error) {
      onTrouble(error);
      return null;
    }
  }

  async function rest(): Promise<void> {
    stopping.abort();
    await Promise.all(ending);
  }
}

/** Why no endpoints are known; null: some are, or the sources say that there are none. */
function blindness(instance: Instance | null): string | null {
  if (instance === null) return null;
  const { waitingFor } = view(instance.collection.catalog);
  return instance.isBlind ? `no answer of ${waitingFor.join(', ')} yet, and nobody is known to serve` : null;
}

/** Settings for an init container, which only writes the files: another container checks and reloads them. */
function writingOnly(settings: Settings): Settings {
  const haproxy = { ...settings.config.haproxy, control: 'none' } as const;
  const outputs = settings.outputs.map((output) => ({ ...output, check: null, reload: null }));
  return { ...settings, outputs, config: { ...settings.config, haproxy } };
}

/**
 * Settles when each output has been tried. Rejects with the AppError of the first that failed, or where they still wait for
 * an answer about a service when `startTimeout` is over.
 */
async function outputsDone(instance: Instance | null, startedAt: Moment, signal: AbortSignal): Promise<void> {
  if (instance === null) return;
  const { outputs, settings } = instance;
  const isOver = new AbortController();
  const restMs = Math.max(0, startedAt + settings.config.startTimeout - now());
  const timeout = pause(restMs, AbortSignal.any([signal, isOver.signal]));
  const hasBegun = await Promise.race([outputs.begun.then(() => true), timeout.then(() => false)]);
  isOver.abort();
  if (!hasBegun) {
    const { catalog } = instance.collection;
    const missing = [...view(catalog).pending].join(', ');
    throw new AppError(
      'MYELIN_SOURCE_TIMEOUT',
      `no output is written: no answer about ${missing} within ${settings.config.startTimeout} ms`,
      { remedy: 'see that the sources of these services run and are reachable; `startTimeout` is how long they have' },
    );
  }
  await outputs.settled();
  for (const { state } of outputs.states) if (state.kind === 'failed') throw state.error;
}

/** Of what HAProxy rejects; where each has another cause, such as a taken address, that of the first. */
function exitCodeOf(problems: readonly Problem[]): number {
  const codes = problems.map(({ code }) => code ?? 'MYELIN_CONFIG_REJECTED');
  return errorCodes[
    codes.includes('MYELIN_CONFIG_REJECTED') ? 'MYELIN_CONFIG_REJECTED' : (codes[0] ?? 'MYELIN_CONFIG_REJECTED')
  ];
}

/**
 * The exit code of `--once` after `happening`; null: not done yet. Without `apply`, a file that lacks some sources is enough:
 * beside the container that reads it runs a Myelin that still waits for them.
 */
function whenDone(happening: Happening, { apply }: RunOptions): number | null {
  if (happening.kind === 'unhandled_rejection' || happening.kind === 'reconcile_failed') return exitCodes.unexpected;
  if (happening.kind !== 'reconciled') return null;
  const { result, catalog } = happening;
  const { open, waitingFor, isBlind } = view(catalog);
  // Until the catalog is open, a result is about the file that was found at the start.
  if (!open) return null;
  switch (result.kind) {
    case 'noop':
    case 'runtime':
    case 'reload':
      return waitingFor.length === 0 || !(apply || isBlind) ? exitCodes.ok : exitCodes.sourceTimeout;
    case 'rejected':
      return exitCodeOf(result.problems);
    case 'failed':
      return result.error.exitCode;
    case 'pending':
    case 'postponed':
      return null;
  }
}
