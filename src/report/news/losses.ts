/** Services whose endpoints are newly retained although no source names them, and those where this is over. Pure. */
import type { Catalog } from '../../catalog/catalog.ts';
import { newlyKept } from '../../catalog/report.ts';
import { toWallClock } from '../../lib/time/clock.ts';
import type { Message } from '../messages.ts';

export function lossNews(before: Catalog | null, now: Catalog): readonly Message[] {
  return newlyKept(before, now).map(({ service, kept, count }): Message => {
    if (kept === null) return { kind: 'loss_ended', service };
    const kind = kept.reason === 'shrunk' ? 'large_loss' : 'total_loss';
    const until = kept.until === null ? null : toWallClock(kept.until);
    return { kind, service, reason: kept.reason, endpoints: count, until, remedy: `myelin accept ${service}` };
  });
}
