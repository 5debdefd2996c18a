/** The last message: which HAProxy serves on without Myelin, and how it is ended. */
import type { Happening } from '../happenings.ts';
import type { Message } from '../messages.ts';

export function stoppedMessage({ haproxy }: Extract<Happening, { readonly kind: 'stopped' }>): Message {
  const remedy = haproxy === null ? null : 'HAProxy serves on; `myelin stop --haproxy` ends it';
  return { kind: 'stopped', servingOn: haproxy?.binds ?? [], pid: haproxy?.pid ?? null, remedy };
}
