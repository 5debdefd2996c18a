/**
 * The picture, in its order: watchers → catalog → render → plan → apply → HAProxy.
 * What a watcher says changes the catalog; a changed catalog wakes the queue; the queue has what is desired rendered and
 * reconciled: planned, applied, and read back. No stage knows another; here they meet.
 */
import type { ManagedDriver } from './apply/driver.ts';
import type { KeptFiles } from './apply/files/kept-files.ts';
import { view } from './catalog/catalog.ts';
import { type Collection, createCollection } from './catalog/collection.ts';
import { newlyRefused, refusedByConfig } from './catalog/report.ts';
import { createMutex } from './lib/mutex.ts';
import { ownAddresses } from './lib/net/own-addresses.ts';
import { now } from './lib/time/clock.ts';
import { Outputs } from './outputs/outputs.ts';
import { DesiredState } from './reconcile/desired-state.ts';
import { OfferBudget } from './reconcile/offer-budget.ts';
import type { OverrideRequest, OverrideStore } from './reconcile/overrides/override-store.ts';
import { ReconcileQueue } from './reconcile/reconcile-queue.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import type { Result } from './reconcile/result.ts';
import { RuntimeUpdater } from './reconcile/runtime/runtime-updater.ts';
import { VerifyLoop } from './reconcile/runtime/verify-loop.ts';
import type { Report } from './report/happenings.ts';
import { type Edit, Editions } from './settings/editions.ts';
import type { Settings } from './settings/settings.ts';
import type { KnownEndpoints } from './sources/known-endpoints.ts';
import type { KnownServices } from './sources/known-services.ts';
import { Sources } from './sources/sources.ts';

export type Dependencies = {
  readonly settings: Settings;
  readonly driver: ManagedDriver;
  readonly overrides: OverrideStore;
  readonly discovered: KnownServices;
  readonly endpoints: KnownEndpoints;
  readonly files: KeptFiles;
  /** Shows from outside that a reconcile comes to an end. */
  readonly heartbeat: { during<T>(work: () => Promise<T>): Promise<T> };
  readonly env: NodeJS.ProcessEnv;
  readonly hostname: string;
  /** Told of what the sources are asked with, which nobody is to read in a message. */
  readonly onSecret: (secret: string) => void;
  /** Told of all that happens; what people read of it is not decided here. */
  readonly report: Report;
};

/** A running Myelin, as the command line, the status and the probes see it. */
export type Instance = {
  readonly settings: Settings;
  /** What is known from the sources. */
  readonly collection: Collection;
  /** Nobody is known to serve anything, and a source that is required has not said so. */
  readonly isBlind: boolean;
  /** What is known to serve is live: it was found so, or has been applied. */
  readonly isBegun: boolean;
  /** A config that was read and is not live yet; null: there is none. */
  readonly edit: Edit | null;
  readonly reconciler: Reconciler;
  readonly updater: RuntimeUpdater;
  /** The files beside HAProxy's. */
  readonly outputs: Outputs;
  /** Begins to watch and to apply. */
  start(): void;
  /** Takes over a new config and templates. Rejects with an AppError where the templates fail; then the old ones stay. */
  use(settings: Settings): Promise<void>;
  /** Something may have to be done: look again. */
  poke(): void;
  /** An operator takes a server out, or gives it back. Rejects with an AppError where there is no such server. */
  override(request: OverrideRequest): Promise<void>;
  /** A reload is wanted although nothing changed; settles when it was seen to, or rejects when Myelin ends. */
  reload(): Promise<Result>;
  /** The sources are believed about this service: how many endpoints are kept no longer. */
  accept(service: string): number;
  /** Settles when `signal` aborted and everything here has come to rest. */
  readonly ended: Promise<void>;
};

/** Throws an AppError where the templates fail. */
export function main(dependencies: Dependencies, signal: AbortSignal): Instance {
  const { driver, overrides, discovered, endpoints, files, heartbeat, env, hostname, report } = dependencies;

  // Watchers tell what exists; the catalog keeps what was last known to be good.
  const remembered = { discovered: discovered.all, endpoints: endpoints.all };
  const collection = createCollection(dependencies.settings.config, remembered, now(), ownAddresses(env));
  const editions = new Editions({ settings: dependencies.settings, collection }, () => reconciler.live);
  const sources = new Sources({
    env,
    onEvent(event) {
      const before = editions.newest.catalog;
      const isNews = editions.receive(event, now());
      if (isNews) changed();
      report({ kind: 'source', event, refused: newlyRefused(before, editions.newest.catalog, event), isNews });
    },
    onFault: (error) => report({ kind: 'trouble', error }),
    onHanging: (watcher) => report({ kind: 'watcher_hangs', watcher }),
    onSecret: dependencies.onSecret,
  });

  // What should be is rendered, planned and applied, and what is there is read back.
  const budget = new OfferBudget(() => editions.settings.config.reload.offerInterval);
  const updater = new RuntimeUpdater(driver, { now, verify: () => editions.settings.config, report });
  const reconciler = new Reconciler(driver, updater, () => overrides.list(), now, budget, files);
  const desired = new DesiredState({ editions, driver, live: () => reconciler.live, hostname });
  desired.assertRenders(dependencies.settings);

  // Other files are made of the same view, each by itself.
  const outputs = new Outputs(
    {
      state: dependencies.settings.config.state,
      now,
      report,
      verifyInterval: () => editions.settings.config.verifyInterval,
    },
    signal,
  );

  // A change wakes the queue; what nobody changed is looked at in rotation.
  const mutex = createMutex();
  const queue = new ReconcileQueue(
    {
      editions,
      desired,
      reconciler,
      driver,
      mutex,
      heartbeat,
      advance,
      onResult(reconciled) {
        const { collection } = editions;
        const sections = driver.runtime === null ? null : (driver.running?.sections ?? []);
        report({ kind: 'reconciled', ...reconciled, collection, quarantined: reconciler.quarantined, sections });
        verifyLoop.reschedule();
      },
      report,
    },
    signal,
  );
  const verifyLoop = new VerifyLoop({ driver, updater, reconciler, queue, overrides, mutex, report }, signal);
  let started = Promise.resolve();

  /** Something else than before is known. */
  function changed(): void {
    remember();
    queue.changed();
  }

  /** What a Myelin that starts again should know. */
  function remember(): void {
    discovered.keep(editions.collection.discovered);
    endpoints.keep(editions.collection);
  }

  /** What is due by now; an edit that waits for nothing any more goes live. */
  function advance(): void {
    const { catalog: before } = editions.collection;
    if (editions.advance(now())) {
      report({ kind: 'refused_by_config', refused: refusedByConfig(before, editions.collection.catalog) });
      driver.use(editions.settings.config);
      reconciler.retrySoon();
    }
    remember();
    budget.note(editions.collection);
    outputs.show(editions.settings.outputs, view(editions.collection.catalog));
  }

  async function end(): Promise<void> {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await started;
    await sources[Symbol.asyncDispose]();
    await queue.ended();
    await outputs.ended();
  }

  return {
    get settings() {
      return editions.settings;
    },
    get collection() {
      return editions.collection;
    },
    get isBlind() {
      return desired.isBlind;
    },
    get isBegun() {
      return queue.isBegun;
    },
    get edit() {
      return editions.edit(now());
    },
    reconciler,
    updater,
    outputs,
    start() {
      started = sources.use(editions.settings.config);
      queue.wake();
    },
    async use(next) {
      desired.assertRenders(next);
      desired.assertPrintsServers(next);
      editions.use(next, now(), ownAddresses(env));
      // Nothing is heard between the two: whatever comes from now on answers the new questions.
      await sources.use(next.config);
      queue.wake();
    },
    poke: () => queue.wake(),
    override: (request) => verifyLoop.override(request),
    reload: () => queue.reload(),
    accept(service) {
      const kept = editions.accept(service, now());
      if (kept > 0) changed();
      return kept;
    },
    ended: end(),
  };
}
