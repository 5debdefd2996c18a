/** The order in which servers change, so that as many as possible serve at every moment. */
import type { ServerCommand } from '../../../../model.ts';
import { rankOf } from '../../resource.ts';
import { identity } from '../commands.ts';

export function takesOut(command: ServerCommand): boolean {
  const { action } = command;
  return action === 'remove' || action === 'maint' || (action === 'weight' && command.weight === 0);
}

/** Places in the order; a weight, 256 at most, counts down from `lightest`. */
const places = { coming: 0, lightest: 500, leaving: 1000 };

/** New servers first, then those that stay by weight, the heavier ones before the lighter, and last those that leave. */
export function inSafeOrder(commands: readonly ServerCommand[]): readonly ServerCommand[] {
  const place = (command: ServerCommand): number => {
    if (command.action === 'remove' || command.action === 'maint') return places.leaving;
    return command.action === 'weight' && !isReturning(command) ? places.lightest - command.weight : places.coming;
  };
  const returning = new Set(commands.filter(({ action }) => action === 'ready').map(({ server }) => server));
  const isReturning = ({ server }: ServerCommand): boolean => returning.has(server);
  return commands.toSorted((a, b) => place(a) - place(b));
}

/** Servers are taken out only once their replacements are there. */
export function ranks(commands: readonly ServerCommand[]): readonly number[] {
  const ready = new Set(commands.filter(({ action }) => action === 'ready').map(identity));
  return commands.map((command) => {
    const goes = takesOut(command) && (command.action === 'remove' || !ready.has(identity(command)));
    return goes ? rankOf.serversGo : rankOf.serversCome;
  });
}
