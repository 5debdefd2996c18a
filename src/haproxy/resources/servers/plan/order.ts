/** In which order servers change, so that at no moment there are fewer than need be. */
import type { ServerCommand } from '../../../../model.ts';
import { rankOf } from '../../resource.ts';
import { identity } from '../commands.ts';

export function takesOut(command: ServerCommand): boolean {
  const { action } = command;
  return action === 'remove' || action === 'maint' || (action === 'weight' && command.weight === 0);
}

/** New servers before others leave, rising weights before falling ones: at no moment are there fewer than need be. */
export function inSafeOrder(commands: readonly ServerCommand[]): readonly ServerCommand[] {
  const rank = (command: ServerCommand): number => {
    if (command.action === 'remove' || command.action === 'maint') return 1000;
    return command.action === 'weight' && !isReturning(command) ? 500 - command.weight : 0;
  };
  const returning = new Set(commands.filter(({ action }) => action === 'ready').map(({ server }) => server));
  const isReturning = ({ server }: ServerCommand): boolean => returning.has(server);
  return commands.toSorted((a, b) => rank(a) - rank(b));
}

/** Servers are taken out only once those that come in their place are there. */
export function ranks(commands: readonly ServerCommand[]): readonly number[] {
  const ready = new Set(commands.filter(({ action }) => action === 'ready').map(identity));
  return commands.map((command) => {
    const goes = takesOut(command) && (command.action === 'remove' || !ready.has(identity(command)));
    return goes ? rankOf.serversGo : rankOf.serversCome;
  });
}
