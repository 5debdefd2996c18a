/**
 * Connects the stages, in their order: watchers → catalog → render → plan → apply → HAProxy.
 * An event of a watcher changes the catalog; a changed catalog wakes the queue; the queue renders what is desired and
 * reconciles it: plans, applies and reads back. No stage imports another one; only this file knows them all.
 */
import { view } from './catalog/catalog.ts';
import { createCollection } from './catalog/collection.ts';
import { newlyRefused, refusedByConfig } from './catalog/report.ts';
import { type Dependencies, Instance } from './instance/instance.ts';
import { createMutex } from './lib/mutex.ts';
import { ownAddresses } from './lib/net/own-addresses.ts';
import { now } from './lib/time/clock.ts';
import type { Problem, SourceEvent } from './model.ts';
import { Outputs } from './outputs/outputs.ts';
import { DesiredState } from './reconcile/desired-state.ts';
import { OfferBudget } from './reconcile/offer-budget.ts';
import { type Reconciled, ReconcileQueue } from './reconcile/reconcile-queue.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { RuntimeUpdater } from './reconcile/runtime/runtime-updater.ts';
import { VerifyLoop } from './reconcile/runtime/verify-loop.ts';
import { Editions } from './settings/editions.ts';
import { located } from './settings/settings.ts';
import { Sources } from './sources/sources.ts';

/** Throws an AppError where the templates fail. */
export function main(dependencies: Dependencies, signal: AbortSignal): Instance {
  const { settings, driver, overrides, discovered, endpoints, files, certificates, env, report } = dependencies;

  // Watchers report what exists; the catalog keeps the last good endpoints.
  const remembered = { discovered: discovered.all, endpoints: endpoints.all };
  const addresses = () => ownAddresses(env);
  const collection = createCollection(settings.config, remembered, now(), addresses());
  const live = () => reconciler.live;
  const editions = new Editions({ settings, collection }, live);
  const sources = new Sources({
    env,
    onEvent: receive,
    onFault: (error) => report({ kind: 'trouble', error }),
    onHanging: (watcher) => report({ kind: 'watcher_hangs', watcher }),
    onSecret: dependencies.onSecret,
  });

  // What is desired is rendered, then planned and applied; what runs is read back.
  const { hostname } = dependencies;
  const desired = new DesiredState({ editions, driver, live, hostname, certificates });
  desired.assertRenders(settings);
  const budget = new OfferBudget(() => editions.settings.config.reload.offerInterval);
  const updater = new RuntimeUpdater(driver, { now, verify: () => editions.settings.config, report });
  const locate = (problem: Problem): Problem => located(problem, editions.settings);
  const reconciler = new Reconciler(driver, updater, () => overrides.list(), now, budget, files, locate);

  // Outputs are further files of the same view; each one is written by itself.
  const verifyInterval = () => editions.settings.config.verifyInterval;
  const outputs = new Outputs({ state: settings.config.state, now, report, verifyInterval }, signal);

  // A change wakes the queue; the verify loop reads back the rest in rotation.
  const mutex = createMutex();
  const { heartbeat } = dependencies;
  const stages = { editions, desired, reconciler, driver, mutex, heartbeat, advance, onResult, report };
  const queue = new ReconcileQueue(stages, signal);
  const verifyLoop = new VerifyLoop({ driver, updater, reconciler, queue, overrides, mutex, report }, signal);
  const own = { editions, sources, desired, queue, updater, verifyLoop, outputs, certificates, addresses, changed };
  return new Instance(own, signal);

  function receive(event: SourceEvent): void {
    const before = editions.newest.catalog;
    const isNews = editions.receive(event, now());
    if (isNews) changed();
    report({ kind: 'source', event, refused: newlyRefused(before, editions.newest.catalog, event), isNews });
  }

  function changed(): void {
    remember();
    queue.changed();
  }

  /** Keeps what the next start of Myelin has to know. */
  function remember(): void {
    discovered.keep(editions.collection.discovered);
    endpoints.keep(editions.collection);
  }

  /** Called at the beginning of each reconcile: ends waits and doubts that are over, and makes a complete edit live. */
  function advance(): void {
    const { catalog: before } = editions.collection;
    if (editions.advance(now())) {
      report({ kind: 'refused_by_config', refused: refusedByConfig(before, editions.collection.catalog) });
      driver.use(editions.settings.config);
      const { config } = editions.settings;
      report({
        kind: 'certificates',
        certificates: certificates.states(config.frontends),
        caFiles: certificates.caFileStates(config),
      });
      reconciler.retrySoon();
    }
    remember();
    budget.note(editions.collection);
    outputs.show(editions.settings.outputs, view(editions.collection.catalog));
  }

  function onResult(reconciled: Reconciled): void {
    const sections = driver.runtime === null ? null : (driver.running?.sections ?? []);
    const { quarantined } = reconciler;
    report({ kind: 'reconciled', ...reconciled, collection: editions.collection, quarantined, sections });
    verifyLoop.reschedule();
  }
}
