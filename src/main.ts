/**
 * The picture, in its order: watchers → catalog → debounce → render → plan → apply → HAProxy.
 * One direction: what a watcher says changes the catalog, a changed catalog asks for a reconcile, and the reconcile
 * reads the newest catalog. No stage knows another; here they meet.
 */

import type { Driver } from './apply/driver.ts';
import type { KeptFiles } from './apply/files/kept-files.ts';
import { type Catalog, type View, view } from './catalog/catalog.ts';
import { type Collection, createCollection } from './catalog/collection.ts';
import { type LeftOut, newlyRefused, refusedByConfig } from './catalog/report.ts';
import type { Origin } from './catalog/state.ts';
import { AppError } from './errors.ts';
import { frontendName } from './haproxy/text/names.ts';
import { serverLines } from './haproxy/text/text.ts';
import { now } from './lib/clock.ts';
import { createDeadline } from './lib/deadline.ts';
import { createDebounce } from './lib/debounce.ts';
import { createMutex } from './lib/mutex.ts';
import { ownAddresses } from './lib/own-addresses.ts';
import type { Drift, Moment, Ms, ReloadReason, Section, SourceEvent } from './model.ts';
import { OfferBudget } from './reconcile/offer-budget.ts';
import { assertServer, type OverrideRequest, type OverrideStore } from './reconcile/override-store.ts';
import { withoutOverrides } from './reconcile/overrides.ts';
import { Reconciler, type Result } from './reconcile/reconciler.ts';
import { type RuntimeResult, RuntimeUpdater } from './reconcile/runtime-updater.ts';
import { assertPrintsServers } from './render/printed-servers.ts';
import type { Renderer, RenderInput, RenderResult } from './render/render.ts';
import { type Edit, Editions, takesOver } from './settings/editions.ts';
import { presumedVersion, type Settings } from './settings/settings.ts';
import type { KnownEndpoints } from './sources/known-endpoints.ts';
import type { KnownOffers } from './sources/known-offers.ts';
import { Sources } from './sources/sources.ts';

export type World = {
  readonly settings: Settings;
  readonly control: Driver;
  readonly overrides: OverrideStore;
  readonly offers: KnownOffers;
  readonly endpoints: KnownEndpoints;
  readonly files?: KeptFiles;
  /** Shows from outside that a reconcile comes to an end. */
  readonly heartbeat: { during<T>(work: () => Promise<T>): Promise<T> };
  readonly env: NodeJS.ProcessEnv;
  readonly hostname: string;
  /** Told of what the sources are asked with, which nobody is to read in a message. */
  readonly onSecret: (secret: string) => void;
  /** Told of every reconcile, and of what broke one. */
  readonly onResult: (result: Result, occasion: Occasion) => void;
  /** Told of what the sources say, what of it is left out that was not before, and whether anything of it is news. */
  readonly onSource: (event: SourceEvent, refused: LeftOut, isNews: boolean) => void;
  /** Told of what a new config leaves out of what the sources have said before. */
  readonly onJudged: (leftOut: readonly (Origin & LeftOut)[]) => void;
  /** Told of a reload that begins; its end is a result. */
  readonly onReload: (reasons: readonly ReloadReason[]) => void;
  /** Told of an operator's order that is obeyed from now on, and of one whose time is over. */
  readonly onOverride: (override: OverrideRequest, what: 'given' | 'over') => void;
  /** Told of servers that are not what they should be, and whether they are being set right. */
  readonly onDrift: (drift: readonly Drift[], what: 'repair' | 'report') => void;
  /** Told of what did not work, and costs nobody anything by itself. */
  readonly onTrouble: (error: AppError) => void;
  readonly onError: (error: unknown) => void;
};

type Occasion = {
  /** What it was rendered from. */
  readonly catalog: Catalog;
  /** When the oldest change came that this reconcile is about; null: it was about none. */
  readonly changedAt: Moment | null;
  /** Whether anything runs that serves, whatever became of this. */
  readonly isServing: boolean;
  readonly renderMs: Ms;
  /** All of the reconcile. */
  readonly tookMs: Ms;
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

/** After what should not happen. */
const retryMs: Ms = 1000;

/** Throws an AppError where the templates fail. */
export function main(world: World, signal: AbortSignal): Instance {
  const {
    control,
    overrides,
    offers,
    endpoints: lastEndpoints,
    heartbeat,
    env,
    hostname,
    onResult,
    onSource,
    onJudged,
    onReload,
    onOverride,
    onDrift,
    onTrouble,
    onError,
  } = world;
  let changedAt: Moment | null = null;
  let requests: readonly PromiseWithResolvers<Result>[] = [];
  let started = Promise.resolve();
  let reloading = Promise.resolve();
  prove(world.settings);

  const updater = new RuntimeUpdater(control, {
    now: now,
    verify: () => editions.settings.config,
    onDrift,
  });
  const budget = new OfferBudget(() => editions.settings.config.reload.offerInterval);
  const reconciler = new Reconciler(control, updater, () => overrides.list(), now, budget, world.files);
  const remembered = { offers: offers.all, endpoints: lastEndpoints.all };
  const first = {
    settings: world.settings,
    collection: createCollection(world.settings.config, remembered, now(), ownAddresses(env)),
  };
  const editions = new Editions(first, () => reconciler.live);
  const mutex = createMutex();
  const debounce = createDebounce(() => heartbeat.during(() => mutex(reconcile)), {
    get quietMs() {
      return editions.settings.config.debounce.quiet;
    },
    get maxMs() {
      return editions.settings.config.debounce.max;
    },
    signal,
    onError: broke,
  });
  const deadline = createDeadline(debounce.poke, signal);
  // Apart from the debounce: a look at what runs is no change, and no change waits for quiet because of it.
  const verifyDeadline = createDeadline(() => void mutex(verify).catch(lookFailed), signal);
  // As it was written down: what is read back may be what somebody made of it.
  const onDisk = control.running?.sections ?? control.found;
  const found = onDisk === null ? null : withoutOverrides(onDisk);
  const atStart = byService(found ?? []);

  let isBegun = control.running !== null && !isBlind();

  const sources = new Sources(
    env,
    (event) => {
      const before = editions.newest;
      const isNews = editions.receive(event, now());
      if (isNews) changed();
      onSource(event, newlyRefused(before.catalog, editions.newest.catalog, event), isNews);
    },
    onTrouble,
    world.onSecret,
  );

  /** Something else than before is known, or wanted. */
  function changed(): void {
    remember();
    changedAt ??= now();
    debounce.poke();
  }

  function remember(): void {
    offers.keep(editions.collection.offers);
    lastEndpoints.keep(editions.collection);
  }

  async function reconcile(): Promise<void> {
    const startedAt = performance.now();
    const { catalog: before } = editions.collection;
    if (editions.advance(now())) {
      onJudged(refusedByConfig(before, editions.collection.catalog));
      control.use(editions.settings.config);
      reconciler.retrySoon();
    }
    remember();
    budget.note(editions.collection);
    const from = editions.collection.catalog;
    const about = changedAt;
    const seenTo = requests;
    const isKnown = !isBlind();
    const wanted = render();
    if (wanted === null) {
      deadline.set([editions.nextDeadline(now())]);
      return;
    }
    const renderMs = performance.now() - startedAt;
    const tell = (result: Result): void =>
      onResult(result, {
        catalog: from,
        changedAt: about,
        isServing: control.running !== null,
        renderMs,
        tookMs: performance.now() - startedAt,
      });
    if (reconciler.isReloading) {
      // A reload is under way and will be followed by another look: only what commands can do is done now.
      const result = await reconciler.meanwhile({ rendered: wanted, faulty: wanted.problems }, signal);
      if (result !== null) {
        changedAt = null;
        tell(result);
      }
      return;
    }
    changedAt = null;
    const requested = seenTo.map((): ReloadReason => ({ code: 'operator_request' })).slice(0, 1);
    let isTold = false;
    const onMeanwhile = (result: RuntimeResult): void => {
      isTold = true;
      tell(result);
    };
    const settle = (result: Result): void => {
      if (result.kind === 'pending' || result.kind === 'postponed')
        changedAt = isTold ? changedAt : (about ?? changedAt);
      else {
        requests = requests.filter((request) => !seenTo.includes(request));
        for (const request of seenTo) request.resolve(result);
      }
      isBegun ||= isKnown && (result.kind === 'noop' || result.kind === 'runtime' || result.kind === 'reload');
      tell(result);
      deadline.set([editions.nextDeadline(now()), reconciler.nextTrial, 'at' in result ? result.at : null]);
      setVerifyDeadline();
    };
    const result = await reconciler.reconcile(
      { rendered: wanted, faulty: wanted.problems, requested, onMeanwhile },
      signal,
    );
    if (result.kind !== 'reloading') settle(result);
    else {
      onReload(result.reasons);
      reloading = result.result
        .then(settle)
        .catch(broke)
        // What came meanwhile is planned anew against the process that serves now.
        .then(debounce.poke);
    }
  }

  async function verify(): Promise<void> {
    try {
      const ended = overrides.takeExpired();
      for (const expired of ended) onOverride({ ...expired, state: null }, 'over');
      if (ended.length > 0) debounce.poke();
      // One that does not answer would be asked in vain: that it hangs is told already.
      const canLook = !reconciler.isReloading && control.unresponsive === null;
      if (canLook && (await updater.verify())) debounce.poke();
      if (ended.length > 0) await overrides.save();
    } finally {
      setVerifyDeadline();
    }
  }

  function setVerifyDeadline(): void {
    verifyDeadline.set([reconciler.isReloading ? null : updater.nextVerification, overrides.nextExpiry]);
  }

  async function setOverride(override: OverrideRequest): Promise<void> {
    try {
      await mutex(async () => {
        // What was ordered of a server that has gone since can be taken back all the same.
        if (!(override.state === null && overrides.has(override)))
          assertServer(control, override.backend, override.server);
        await overrides.set(override);
        onOverride(override, 'given');
        await reconcile();
        await updater.enforce(override);
      });
    } finally {
      setVerifyDeadline();
    }
  }

  /** Until every required source has answered, what was found on disk serves; null: there is nothing yet. */
  function render(): RenderResult | null {
    const { collection, settings } = editions;
    const { open, endpoints, unknown } = view(collection.catalog);
    if (!open) return found === null ? null : { sections: found, problems: [] };
    return renderWith(settings.renderer, { config: collection.config, endpoints, kept: keptOf(unknown) });
  }

  /** What runs of these services, or stands in the file that was found: what is not known of them stays with that. */
  function keptOf(unknown: View['unknown']): ReadonlyMap<string, readonly Section[]> {
    if (unknown.size === 0) return new Map();
    const live = byService(reconciler.live);
    return new Map(
      [...unknown].flatMap(([name, basis]) => {
        // What was rendered here, though with nobody, is rendered anew: it holds no servers that are not known.
        const its = basis === 'moved' || atStart.has(name) ? (live.get(name) ?? atStart.get(name)) : undefined;
        const sections = its ?? inItsPlace(name, live);
        return sections.length === 0 ? [] : [[name, sections] as const];
      }),
    );
  }

  /** Of services that are not wanted any more, at whose addresses this one is to listen: given up, they would be nobody's. */
  function inItsPlace(name: string, live: ReadonlyMap<string, readonly Section[]>): readonly Section[] {
    const { services } = editions.collection.config;
    const service = services.get(name);
    const gone = [...live].flatMap(([other, sections]) => (services.has(other) ? [] : [sections]));
    return service === undefined ? [] : gone.filter((sections) => takesOver(service, sections)).flat();
  }

  function isBlind(): boolean {
    const { isBlind: isUntold, unknown } = view(editions.collection.catalog);
    const serves = (section: Section): boolean => serverLines(section).length > 0;
    return isUntold && ![...keptOf(unknown).values()].some((sections) => sections.some(serves));
  }

  /** What fails in no service's name would fail at every change, and hold up them all. */
  function prove(candidate: Settings): void {
    renderWith(candidate.renderer, { config: candidate.config, endpoints: new Map() });
  }

  function assertServers({ renderer }: Settings): void {
    const { config, catalog } = editions.newest;
    const { endpoints } = view(catalog);
    const services = new Map([...config.services].filter(([name]) => (endpoints.get(name)?.length ?? 0) > 0));
    if (services.size === 0) return;
    assertPrintsServers(reconciler.live, renderWith(renderer, { config: { ...config, services }, endpoints }));
  }

  function renderWith(renderer: Renderer, input: Omit<RenderInput, 'version' | 'hostname'>): RenderResult {
    return renderer.render({ ...input, version: control.version ?? presumedVersion(input.config), hostname });
  }

  function broke(error: unknown): void {
    // What is broken off because Myelin ends is no failure.
    if (signal.aborted) return;
    for (const request of requests) request.reject(error);
    requests = [];
    onError(error);
    deadline.set([editions.nextDeadline(now()), now() + retryMs]);
  }

  /** What serves goes on serving; it is looked at again. */
  function lookFailed(error: unknown): void {
    if (signal.aborted) return;
    if (error instanceof AppError) onTrouble(error);
    else onError(error);
  }

  return {
    get settings() {
      return editions.settings;
    },
    get collection() {
      return editions.collection;
    },
    get isBlind() {
      return isBlind();
    },
    get isBegun() {
      return isBegun;
    },
    get edit() {
      return editions.edit(now());
    },
    reconciler,
    updater,
    start() {
      started = sources.use(editions.settings.config);
      debounce.poke();
    },
    async use(next) {
      prove(next);
      assertServers(next);
      editions.use(next, now(), ownAddresses(env));
      // Nothing is heard between the two: whatever comes from now on answers the new questions.
      await sources.use(next.config);
      debounce.poke();
    },
    poke: debounce.poke,
    override: setOverride,
    reload() {
      const { open, waitingFor } = view(editions.collection.catalog);
      if (!open && found === null) {
        const what = `there is nothing to reload yet: ${waitingFor.join(', ')} has not answered`;
        return Promise.reject(new AppError('MYELIN_SOURCE_TIMEOUT', what));
      }
      const request = Promise.withResolvers<Result>();
      requests = [...requests, request];
      debounce.poke();
      return request.promise;
    },
    accept(service) {
      const kept = editions.accept(service, now());
      if (kept > 0) changed();
      return kept;
    },
    ended: end(),
  };

  async function end(): Promise<void> {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await started;
    await sources[Symbol.asyncDispose]();
    await debounce.idle();
    await reloading;
    await mutex(async () => {});
    for (const request of requests) request.reject(new AppError('MYELIN_NOT_RUNNING', 'Myelin is stopping'));
  }
}

/** The sections of each service. Where nobody wrote down whose they are, their names tell. */
function byService(sections: readonly Section[]): ReadonlyMap<string, readonly Section[]> {
  const isOwned = sections.some(({ service }) => service !== null);
  const owned = isOwned ? sections : sections.map((section) => ({ ...section, service: usualOwner(section) }));
  const of = Map.groupBy(owned, ({ service }) => service);
  of.delete(null);
  return of as ReadonlyMap<string, readonly Section[]>;
}

/** As a service's sections are usually called. */
function usualOwner({ kind, name }: Section): string | null {
  if (kind === 'backend') return name;
  const service = name.replace(/:in$/, '');
  return kind === 'frontend' && frontendName(service) === name ? service : null;
}
