/** A driver of a HAProxy in a few lines (`haproxy.ts`), which takes commands, and whose command line may fail. */
import type { CommandOutcome, Outcome, Runtime } from '../../../src/apply/driver.ts';
import { AppError } from '../../../src/errors.ts';
import { capabilitiesOf } from '../../../src/haproxy/binary/capabilities.ts';
import { backendOf, seenServers } from '../../../src/haproxy/resources/servers/read-back.ts';
import { RemovedServers } from '../../../src/haproxy/resources/servers/removed-servers.ts';
import type { Plan, Rendered, RuntimeCommand, Section, ServerCommand } from '../../../src/model.ts';
import { serverCommands } from '../values/plans.ts';
import { version } from '../values/render.ts';
import { ModelHaproxy } from './haproxy.ts';
import { ScriptedDriver } from './scripted-driver.ts';

/**
 * `refusing`: replies are odd, and nothing is done; `lying`: replies are good, and nothing is done; `deaf`: neither;
 * `late`: it is done without a reply; `silent`: it is not asked anything either.
 */
export type Fault = 'none' | 'refusing' | 'lying' | 'deaf' | 'late' | 'silent';

export class ModelDriver extends ScriptedDriver {
  override readonly version = version('2.6.12');
  fault: Fault = 'none';
  haproxy: ModelHaproxy;
  sent: readonly ServerCommand[] = [];
  #generation = 0;
  #started: readonly Section[] = [];
  #reaper = new RemovedServers(() => 0);

  constructor({ sections }: Rendered) {
    super();
    this.haproxy = new ModelHaproxy(sections);
    this.start(sections);
  }

  /** Another process, from this text. */
  start(sections: readonly Section[]): void {
    this.#generation += 1;
    this.haproxy = new ModelHaproxy(sections);
    this.#started = sections;
    this.#reaper = new RemovedServers(() => 0);
    this.running = { sections, generation: this.#generation, since: 0, process: null };
  }

  override get runtime(): Runtime | null {
    const { running } = this;
    if (running === null) return null;
    return {
      capabilities: capabilitiesOf(this.version),
      leaving: this.#reaper.list,
      started: this.#started,
      running,
      observe: async (owners) => {
        if (this.fault === 'silent') throw noAnswer();
        const seen = new Map(owners.map((owner) => [owner, seenServers(this.haproxy.rows(backendOf(owner)))]));
        return new Map([['server', seen]]);
      },
      health: async () => new Map(),
      downBackends: async () => new Set<string>(),
      acceptObserved: ({ sections }, leaving) => {
        this.run(sections);
        for (const each of leaving) this.#reaper.found(each);
      },
      applyCommands: async (commands, { sections }) => {
        const outcome = this.#take(commands);
        if (outcome.kind === 'applied') this.run(sections);
        return outcome;
      },
    };
  }

  override async apply({ sections }: Rendered, plan: Plan): Promise<Outcome> {
    if (plan.kind !== 'reload')
      return (
        this.runtime?.applyCommands(plan.kind === 'runtime' ? plan.commands : [], { sections }) ??
        super.apply({ sections }, plan)
      );
    this.reloads.push(plan);
    this.start(sections);
    return { kind: 'applied', tookMs: 0 };
  }

  /** What was removed is deleted. */
  reap(): void {
    for (const { backend, server } of this.#reaper.list)
      this.#run({ kind: 'server', action: 'delete', backend, server });
  }

  #take(all: readonly RuntimeCommand[]): CommandOutcome {
    const commands = serverCommands(all);
    const [command] = commands;
    if (command === undefined) return { kind: 'applied', tookMs: 0 };
    this.sent = [...this.sent, ...commands];
    switch (this.fault) {
      case 'refusing':
        return { kind: 'unexpected', replies: [{ kind: 'unexpected', command, reply: 'unheard of' }] };
      case 'deaf':
      case 'silent':
        return { kind: 'failed', error: noAnswer(), problems: [] };
      case 'lying':
        return { kind: 'applied', tookMs: 0 };
      case 'late':
      case 'none':
        for (const each of commands) {
          const refusal = this.#run(each);
          if (refusal !== null)
            return { kind: 'unexpected', replies: [{ kind: 'unexpected', command: each, reply: refusal }] };
        }
        return this.fault === 'none'
          ? { kind: 'applied', tookMs: 0 }
          : { kind: 'failed', error: noAnswer(), problems: [] };
    }
  }

  /** What it refuses it says; null: it is done. */
  #run(command: ServerCommand): string | null {
    try {
      this.haproxy.run(command);
    } catch (error) {
      return error instanceof Error ? error.message : `${error}`;
    }
    this.#reaper.note(command, { kind: 'done' }, { deleteServer: 'any' });
    return null;
  }
}

function noAnswer(): AppError {
  return new AppError('MYELIN_SOCKET_FAILED', 'no answer');
}
