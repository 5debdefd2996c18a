/** Negative controls: a load that sees no loss where one must be has seen nothing. */
import assert from 'node:assert/strict';
import { builtInTemplates } from '../../../src/settings/templates.ts';

/** What loses requests only now and then gets another chance to. */
export async function losesSome(load: () => Promise<{ readonly failed: number }>): Promise<void> {
  for (let attempt = 1; (await load()).failed === 0; attempt++) assert.ok(attempt < 5, 'nothing was lost');
}

export function builtInTemplate(part: 'frontend' | 'global'): string {
  return builtInTemplates().get(part)?.text ?? assert.fail('no such template');
}

/** Of the `global` template: a second HAProxy may listen on the same ports, as it must where it gets no sockets. */
export function withReuseport(template: string): string {
  const line = '    noreuseport\n';
  assert.ok(template.includes(line), 'the template has noreuseport');
  return template.replace(line, '');
}
