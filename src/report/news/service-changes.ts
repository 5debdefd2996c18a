/** How HAProxy was last brought in step for each service, for those who ask why it is as it is. */
import type { Moment, Ms, ReloadReason } from '../../model.ts';
import type { ReconcileContext } from '../happenings.ts';

/** `reasons`: those of a reload that name the service; none: it was for others. */
export type ServiceChange = {
  readonly how: 'runtime' | 'reload';
  readonly at: Moment;
  readonly tookMs: Ms;
  readonly reasons: readonly ReloadReason[];
};

export class ServiceChanges {
  readonly #changes = new Map<string, ServiceChange>();

  get(service: string): ServiceChange | null {
    return this.#changes.get(service) ?? null;
  }

  note({ result, collection, sections, tookMs }: ReconcileContext, now: Moment): void {
    const { services } = collection.config;
    /** `backend web`, `frontend web:in` → web; what several share is of none. */
    const serviceOf = (owner: string): string | null => {
      const [kind, name = ''] = owner.split(' ');
      if (kind === 'backend' && services.has(name)) return name;
      return sections?.find((section) => section.kind === kind && section.name === name)?.service ?? null;
    };
    switch (result.kind) {
      case 'runtime':
        for (const owner of result.owners) {
          const service = serviceOf(owner);
          if (service !== null) this.#changes.set(service, { how: 'runtime', at: now, tookMs, reasons: [] });
        }
        break;
      case 'reload': {
        const reasons = Map.groupBy(result.reasons, ({ section }) =>
          section === undefined ? null : serviceOf(section),
        );
        for (const [service, its] of reasons)
          if (service !== null) this.#changes.set(service, { how: 'reload', at: now, tookMs, reasons: its });
        break;
      }
      case 'noop':
      case 'pending':
      case 'postponed':
      case 'rejected':
      case 'failed':
        return;
    }
    // What has gone is asked about no more.
    if (this.#changes.size > services.size)
      for (const service of this.#changes.keys()) if (!services.has(service)) this.#changes.delete(service);
  }
}
