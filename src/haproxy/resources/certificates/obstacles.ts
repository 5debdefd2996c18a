/** What keeps a certificate, or CA certificates, from being replaced while HAProxy runs. */
import type { Section } from '../../../model.ts';
import { isPayload } from '../../cli/payload.ts';
import type { Obstacle } from '../resource.ts';
import { canBeNamed } from './commands.ts';

export function waits(detail: string): Obstacle {
  return { code: 'certificate_changed', detail };
}

/** Why no command can carry this file; null: one can. */
export function whyNotCarried({ name, text }: Section, maxPayloadBytes: number): Obstacle | null {
  if (!canBeNamed(name) || !isPayload(text)) return waits('it cannot be said in a runtime command');
  return text.length > maxPayloadBytes
    ? waits(`it has ${text.length} bytes, more than the ${maxPayloadBytes} of a runtime command`)
    : null;
}
