/** How it is, in one sentence and a tone. Pure. */
import type { Ms, Timestamp } from '../../../model.ts';
import type { Status } from '../../../report/status.ts';
import { downServices } from './services.ts';
import { age, span, timeOfDay } from './time.ts';
import { count, listed, type Tone } from './words.ts';

export type Headline = { readonly tone: Tone; readonly text: string };

/** `behindMs`: how long the last change at a source took until HAProxy served it; null: there was none. */
export function headlineOf(status: Status, behindMs: Ms | null, now: Timestamp): Headline {
  const reasons = new Set(status.stateReasons);
  if (reasons.has('nothing_applied')) return begins(status);
  const unresponsive = status.haproxy?.unresponsive ?? null;
  if (unresponsive !== null)
    return { tone: 'bad', text: `HAProxy has not answered for ${age(unresponsive.since, now)}` };
  const down = downServices(status.services);
  const tone = down === null ? 'warn' : 'bad';
  const andDown = down === null ? '' : `; ${down}`;
  const out = status.sources.filter((source) => source.down !== null);
  const since = out.flatMap((source) => source.down?.since ?? []).reduce((a, b) => Math.min(a, b), now);
  if (out.length > 0) {
    const names = listed(out.map(({ name }) => name));
    return {
      tone,
      text: `Serving the state of ${timeOfDay(since, now)}, ${names} unreachable for ${age(since, now)}${andDown}`,
    };
  }
  if (status.lastApply?.error != null) {
    const { at } = status.lastApply;
    return { tone, text: `Serving the last good state: the update of ${timeOfDay(at, now)} failed${andDown}` };
  }
  if (down !== null) return { tone, text: down };
  if (reasons.size > 0) return { tone, text: `Serving what the sources say, ${exceptions(status)}` };
  if (behindMs === null) return { tone: 'good', text: 'Serving what the sources say' };
  return { tone: 'good', text: `Serving what the sources say, ${span(behindMs)} behind` };
}

function begins({ waitingFor, lastApply }: Status): Headline {
  if (lastApply?.error != null) return { tone: 'bad', text: 'Nothing is served by Myelin: the update failed' };
  if (waitingFor.length > 0)
    return { tone: 'warn', text: `Starting: waiting for the first answer of ${listed(waitingFor)}` };
  return { tone: 'warn', text: 'Starting: nothing is applied yet' };
}

function exceptions({ services, waitingFor, stateReasons }: Status): string {
  const quarantined = services.filter((service) => service.quarantined !== null).map(({ name }) => name);
  if (quarantined.length > 0) return `except for ${listed(quarantined)} in quarantine`;
  if (waitingFor.length > 0) return `and waiting for the first answer of ${listed(waitingFor)}`;
  const stale = services.filter(({ stale: its }) => its !== null).length;
  if (stale > 0) return `except for ${count(stale, 'service')} whose query fails`;
  const empty = services.filter(({ lacksEndpoints }) => lacksEndpoints).length;
  if (empty > 0)
    return `which know${empty === 1 ? ' no endpoint of one service' : ` no endpoint of ${count(empty, 'service')}`}`;
  const kept = services.reduce((sum, { endpoints }) => sum + endpoints.kept, 0);
  if (kept > 0) return `and ${count(kept, 'endpoint')} that they do not name any more`;
  return `with ${count(stateReasons.length, 'exception')}`;
}
