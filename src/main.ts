/**
 * The picture, in its order: watchers → catalog → debounce → render → plan → apply → HAProxy.
 * One direction: what a watcher says changes the catalog, a changed catalog asks for a reconcile, and the reconcile
 * reads the newest catalog. No stage knows another; here they meet.
 */
import timers from 'node:timers';
import type { Control } from './apply/control.ts';
import { advance, type Catalog, createCatalog, nextDeadline, receive, reconfigure, view } from './catalog/catalog.ts';
import { createDebounce } from './debounce.ts';
import type { Moment, ReloadReason } from './model.ts';
import { Reconciler, type Result } from './reconcile.ts';
import type { RenderResult } from './render/render.ts';
import { catalogSettings, oldestVersion, type Settings, seedOf } from './settings.ts';
import { Sources } from './sources.ts';

export type World = {
  readonly settings: Settings;
  readonly control: Control;
  readonly env: NodeJS.ProcessEnv;
  readonly hostname: string;
  /** Told of every reconcile, and of what broke one. */
  readonly onResult: (result: Result, timing: Timing) => void;
  readonly onError: (error: unknown) => void;
};

/** `changedAt`: when the oldest change came that this reconcile is about; null: it was about none. */
export type Timing = { readonly changedAt: Moment | null; readonly renderMs: number };

/** A running Myelin, as the command line, the status and the probes see it. */
export type Instance = {
  readonly settings: Settings;
  readonly catalog: Catalog;
  readonly reconciler: Reconciler;
  /** Takes over a new config and templates, both proved valid. */
  use(settings: Settings): Promise<void>;
  /** Something may have to be done: look again. */
  poke(): void;
  /** A reload is wanted although nothing changed. */
  reload(): void;
  /** Settles when `signal` aborted and everything here has come to rest. */
  readonly ended: Promise<void>;
};

export function main(world: World, signal: AbortSignal): Instance {
  const { control, env, hostname, onResult, onError } = world;
  let settings = world.settings;
  let catalog = createCatalog(catalogSettings(settings.config), Date.now(), seedOf(control, settings.config));
  let changedAt: Moment | null = null;
  let requested: readonly ReloadReason[] = [];

  const reconciler = new Reconciler(control, Date.now);
  const debounce = createDebounce(reconcile, { ...debounceTimes(settings), signal, onError });
  const alarm = createAlarm(debounce.poke, signal);

  const sources = new Sources(env, (event) => {
    const before = catalog;
    catalog = receive(catalog, event, Date.now());
    if (catalog === before) return;
    changedAt ??= Date.now();
    debounce.poke();
  });

  async function reconcile(): Promise<void> {
    catalog = advance(catalog, Date.now());
    const timing = { changedAt, renderMs: 0 };
    changedAt = null;
    const wanted = render(timing);
    if (wanted !== null) {
      const asked = requested;
      const result = await reconciler.reconcile(wanted, wanted.problems, asked, signal);
      if (result.kind === 'pending') changedAt = timing.changedAt ?? changedAt;
      else requested = requested.filter((reason) => !asked.includes(reason));
      onResult(result, timing);
      alarm.set([nextDeadline(catalog), reconciler.nextTrial, 'at' in result ? result.at : null]);
    } else alarm.set([nextDeadline(catalog)]);
  }

  /** Until every required source has answered, what was found on disk serves; null: there is nothing yet. */
  function render(timing: { renderMs: number }): RenderResult | null {
    const { open, endpoints } = view(catalog);
    if (!open) {
      const sections = control.running?.sections ?? control.found;
      return sections === null ? null : { sections, problems: [] };
    }
    const startedAt = performance.now();
    const { config, renderer } = settings;
    const result = renderer.render({ config, endpoints, version: control.version ?? oldestVersion, hostname });
    timing.renderMs = performance.now() - startedAt;
    return result;
  }

  const started = sources.use(settings.config);
  debounce.poke();

  return {
    get settings() {
      return settings;
    },
    get catalog() {
      return catalog;
    },
    reconciler,
    async use(next) {
      settings = next;
      control.use(next.config);
      catalog = reconfigure(catalog, catalogSettings(next.config), Date.now());
      await sources.use(next.config);
      debounce.poke();
    },
    poke: debounce.poke,
    reload() {
      requested = [...requested, { code: 'operator_request' }];
      debounce.poke();
    },
    ended: end(),
  };

  async function end(): Promise<void> {
    await started;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await sources[Symbol.asyncDispose]();
    await debounce.idle();
  }
}

function debounceTimes({ config }: Settings): { quietMs: number; maxMs: number } {
  return { quietMs: config.debounce.quiet, maxMs: config.debounce.max };
}

/** One timer for the next moment at which something is due though nothing changes. */
function createAlarm(ring: () => void, signal: AbortSignal): { set(moments: readonly (Moment | null)[]): void } {
  let timer: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', () => timers.clearTimeout(timer), { once: true });
  return {
    set(moments) {
      timers.clearTimeout(timer);
      const next = Math.min(...moments.filter((moment) => moment !== null));
      if (signal.aborted || next === Number.POSITIVE_INFINITY) return;
      // Longer than a day is beyond what a timer takes, and looking once more then costs nothing.
      timer = timers.setTimeout(ring, Math.min(Math.max(next - Date.now(), 1), 86_400_000));
    },
  };
}
