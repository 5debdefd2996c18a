/** A running Myelin for the command line, the status and the probes: its readable state, and their requests. */
import type { ManagedDriver } from '../apply/driver.ts';
import type { KeptFiles } from '../apply/files/kept-files.ts';
import type { Collection } from '../catalog/collection.ts';
import type { CaFileState } from '../certificates/ca-files.ts';
import type { CertificateState, Certificates } from '../certificates/certificates.ts';
import { now } from '../lib/time/clock.ts';
import type { Outputs } from '../outputs/outputs.ts';
import type { DesiredState } from '../reconcile/desired-state.ts';
import type { OverrideRequest, OverrideStore } from '../reconcile/overrides/override-store.ts';
import type { ReconcileQueue } from '../reconcile/reconcile-queue.ts';
import type { Result } from '../reconcile/result.ts';
import type { RuntimeUpdater } from '../reconcile/runtime/runtime-updater.ts';
import type { VerifyLoop } from '../reconcile/runtime/verify-loop.ts';
import type { Report } from '../report/happenings.ts';
import type { AcceptedLoss, Edit, Editions } from '../settings/editions.ts';
import type { Settings } from '../settings/settings.ts';
import type { Explanation } from '../sources/explain.ts';
import type { KnownEndpoints } from '../sources/known-endpoints.ts';
import type { KnownServices } from '../sources/known-services.ts';
import type { Sources } from '../sources/sources.ts';

/** The parts that Myelin is started with. */
export type Dependencies = {
  readonly settings: Settings;
  readonly driver: ManagedDriver;
  readonly overrides: OverrideStore;
  readonly discovered: KnownServices;
  readonly endpoints: KnownEndpoints;
  readonly files: KeptFiles;
  readonly certificates: Certificates;
  /** Shows from outside whether a reconcile ends. */
  readonly heartbeat: { during<T>(work: () => Promise<T>): Promise<T> };
  readonly env: NodeJS.ProcessEnv;
  readonly hostname: string;
  /** Called with each credential that the sources use, so that messages mask it. */
  readonly onSecret: (secret: string) => void;
  /** Called for all events; `report/` decides what people read of them. */
  readonly report: Report;
};

/** The stages that `main` has put together. */
type Stages = {
  readonly editions: Editions;
  readonly sources: Sources;
  readonly desired: DesiredState;
  readonly queue: ReconcileQueue;
  readonly updater: RuntimeUpdater;
  readonly verifyLoop: VerifyLoop;
  readonly outputs: Outputs;
  readonly certificates: Certificates;
  /** The addresses of this machine. */
  readonly addresses: () => readonly string[];
  /** Called when the catalog has changed. */
  readonly changed: () => void;
};

export class Instance {
  readonly updater: RuntimeUpdater;
  /** The files beside HAProxy's config. */
  readonly outputs: Outputs;
  /** Settles when `signal` has aborted and every stage has ended. */
  readonly ended: Promise<void>;
  readonly #stages: Stages;
  #started = Promise.resolve();

  constructor(stages: Stages, signal: AbortSignal) {
    this.#stages = stages;
    this.updater = stages.updater;
    this.outputs = stages.outputs;
    this.ended = this.#end(signal);
  }

  get settings(): Settings {
    return this.#stages.editions.settings;
  }

  /** How to log: an edit holds at once, whatever the rest of it waits for. */
  get log(): Settings['config']['log'] {
    return this.#stages.editions.newestSettings.config.log;
  }

  /** All data of the sources. */
  get collection(): Collection {
    return this.#stages.editions.collection;
  }

  /** No server is known, and a required source has not confirmed that there is none. */
  get isBlind(): boolean {
    return this.#stages.desired.isBlind;
  }

  /** The known servers are live: HAProxy was found with them, or they have been applied. */
  get isBegun(): boolean {
    return this.#stages.queue.isBegun;
  }

  /** The certificates of the shared frontends: served ones, and those that are left out. */
  get certificates(): readonly CertificateState[] {
    const { certificates, editions } = this.#stages;
    return certificates.states(editions.settings.config.frontends);
  }

  /** The files of CA certificates. */
  get caFiles(): readonly CaFileState[] {
    const { certificates, editions } = this.#stages;
    return certificates.caFileStates(editions.settings.config);
  }

  /** A config that was read and is not live yet; null: there is none. */
  get edit(): Edit | null {
    return this.#stages.editions.edit(now());
  }

  /** Starts watching and applying. */
  start(): void {
    const { sources, editions, queue } = this.#stages;
    this.#started = sources.use(editions.settings.config);
    queue.wake();
  }

  /** Uses a new config and templates. Rejects with an AppError where the templates fail; then the old ones stay. */
  async use(next: Settings): Promise<void> {
    const { desired, editions, sources, queue, addresses, certificates } = this.#stages;
    await certificates.use(next.config);
    desired.assertRenders(next);
    desired.assertPrintsServers(next);
    editions.use(next, now(), addresses());
    // No event of a source is received between the two lines: all later events belong to the new queries.
    await sources.use(next.config);
    queue.wake();
  }

  /** The certificates have changed. */
  certificatesChanged(): void {
    this.#stages.queue.changed();
  }

  /** Checks whether there is something to do. */
  poke(): void {
    this.#stages.queue.wake();
  }

  /** An operator takes a server out of service, or back. Rejects with an AppError where there is no such server. */
  override(request: OverrideRequest): Promise<void> {
    return this.#stages.verifyLoop.override(request);
  }

  /** Reloads although nothing has changed. Settles when this is done or refused; rejects when Myelin ends before. */
  reload(): Promise<Result> {
    return this.#stages.queue.reload();
  }

  /** What the sources of a service say now of each of its instances; of one that is not served, those that could have discovered it. */
  async explain(service: string): Promise<readonly Explanation[]> {
    const { config } = this.collection;
    const { discoveries, sources, services } = config;
    const mayBe = discoveries.flatMap(({ watcher, query }) => {
      const key = sources.get(watcher)?.discovery?.keyOf?.(service, query) ?? null;
      return key === null ? [] : [{ watcher, key, query }];
    });
    return this.#stages.sources.explain(config, services.get(service)?.origins ?? mayBe);
  }

  /** An operator accepts the results for these services. Returns those that had retained endpoints, and how many. */
  accept(services: readonly string[]): readonly AcceptedLoss[] {
    const { editions, changed } = this.#stages;
    const accepted = editions.accept(services, now());
    if (accepted.length > 0) changed();
    return accepted;
  }

  async #end(signal: AbortSignal): Promise<void> {
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    const { sources, queue, outputs } = this.#stages;
    await this.#started;
    await sources[Symbol.asyncDispose]();
    await queue.ended();
    await outputs.ended();
  }
}
