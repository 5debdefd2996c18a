/**
 * Limits how often discovered services cause a reload. A user who may write services into a namespace can cause reloads, and each
 * reload beyond the limit of old processes closes connections of other users. So while that limit is reached, the services of one
 * namespace get a reload only once in `offerInterval`. Reloads for other reasons are not limited, and take their changes along.
 */
import type { ReloadSlot } from '../apply/reload-policy.ts';
import type { Collection, KnownService } from '../catalog/collection.ts';
import { differenceOfLists } from '../lib/difference.ts';
import type { Moment, Ms, ReloadCode, ReloadReason, Section } from '../model.ts';

export type Reload = {
  readonly reasons: readonly ReloadReason[];
  /** The sections before the reload and after it. */
  readonly sections: readonly Section[];
};

/** The reasons that writing a service can cause, by its existence and its options; its servers are not among them. */
const ofOffers: ReadonlySet<ReloadCode> = new Set(['proxy_added', 'proxy_removed', 'bind_changed', 'option_changed']);

/** Those that went before are for nobody's budget. */
const mostFormerly = 10_000;

export class OfferBudget {
  readonly #everyMs: () => Ms;
  #offered: Collection['discovered'] = [];
  #written: Collection['written'] | null = null;
  /** Of services that are not offered any more. */
  readonly #formerly = new Map<string, string>();
  readonly #spentAt = new Map<string, Moment>();

  constructor(everyMs: () => Ms) {
    this.#everyMs = everyMs;
  }

  /** Notes the discovered services. A service that the config lists belongs to the administrator and is not limited. */
  note({ discovered, written }: Pick<Collection, 'discovered' | 'written'>): void {
    if (discovered === this.#offered && written === this.#written) return;
    const gone = differenceOfLists(this.#offered, discovered)?.gone ?? this.#offered;
    for (const each of gone) if (this.#isLimited(each)) this.#formerly.set(each.service.name, ownerOf(each));
    // Where services come and go by commands, it may take weeks until a reload.
    for (const name of this.#formerly.keys()) {
      if (this.#formerly.size <= mostFormerly) break;
      this.#formerly.delete(name);
    }
    this.#offered = discovered;
    this.#written = written;
  }

  #isLimited({ service }: KnownService): boolean {
    return this.#written?.services.has(service.name) !== true;
  }

  /** By service, with removed services as long as HAProxy has them. */
  #owners(): ReadonlyMap<string, string> {
    const offered = this.#offered.filter((each) => this.#isLimited(each));
    return new Map([...this.#formerly, ...offered.map((each) => [each.service.name, ownerOf(each)] as const)]);
  }

  /** The slot of this reload, later than `slot` where the interval is not over. */
  slot(slot: ReloadSlot, reload: Reload): ReloadSlot {
    const owners = slot.retires ? this.#ownersOf(reload) : null;
    if (owners === null) return slot;
    const every = this.#everyMs();
    const at = owners.reduce(
      (first, owner) => Math.min(first, (this.#spentAt.get(owner) ?? Number.NEGATIVE_INFINITY) + every),
      Number.POSITIVE_INFINITY,
    );
    return at > slot.at ? { ...slot, at, because: 'offer_interval' } : slot;
  }

  /** The reload went live. */
  spend({ retires }: ReloadSlot, reload: Reload, at: Moment): void {
    for (const owner of (retires ? this.#ownersOf(reload) : null) ?? []) this.#spentAt.set(owner, at);
    this.#formerly.clear();
    for (const [owner, spentAt] of this.#spentAt) if (spentAt + this.#everyMs() <= at) this.#spentAt.delete(owner);
  }

  /** The owners, such as namespaces, that cause this reload; null: it has other reasons as well. */
  #ownersOf({ reasons, sections }: Reload): readonly string[] | null {
    const ownersOf = this.#owners();
    const services = new Map(sections.map(({ kind, name, service }) => [`${kind} ${name}`, service]));
    // A changed map counts for no owner: its routes wait for backends, which are reasons of their own.
    const own = reasons.filter(({ code }) => code !== 'map_changed');
    const owners = own.map(({ code, section = '' }) =>
      ofOffers.has(code) ? ownersOf.get(services.get(section) ?? '') : undefined,
    );
    const known = owners.filter((owner) => owner !== undefined);
    return known.length > 0 && known.length === owners.length ? [...new Set(known)] : null;
  }
}

function ownerOf({ watcher, service }: KnownService): string {
  return `${watcher}/${service.owner}`;
}
