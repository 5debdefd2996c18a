/** Services whose endpoints are newly retained although no source names them, and those where this is over. Pure. */
import type { Catalog } from '../../catalog/catalog.ts';
import { type Kept, newlyKept } from '../../catalog/report.ts';
import { toWallClock } from '../../lib/time/clock.ts';
import type { Message } from '../messages.ts';

export function lossNews(before: Catalog | null, now: Catalog): readonly Message[] {
  return newlyKept(before, now).map(({ service, kept, count }): Message => {
    if (kept === null) return { kind: 'loss_ended', service };
    const { reason } = kept;
    const until = kept.until === null ? null : toWallClock(kept.until);
    return { kind: kinds[reason], service, reason, endpoints: count, until, remedy: remedyOf(reason, service) };
  });
}

const kinds = { shrunk: 'large_loss', emptied: 'total_loss', config: 'emptied_by_config' } as const;

function remedyOf(reason: Kept['reason'], service: string): string {
  return reason === 'config'
    ? `undo the edit, or \`myelin accept ${service}\` (\`myelin accept --all\` for all services)`
    : `myelin accept ${service}`;
}
