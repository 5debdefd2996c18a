/** How processes take commands: the one that serves, which the file follows, and those that leave. */
import type { CommandedProcess, Runtime } from '../driver.ts';
import { sameText } from '../state/sections.ts';
import type { Worker } from './worker.ts';

type Serving = {
  readonly worker: Worker;
  /** Told where something else runs now than before. */
  readonly noteChange: () => void;
  /** Whether this process serves still. */
  readonly serves: () => boolean;
  readonly leaving: readonly Worker[];
};

export function runtimeOf({ worker, noteChange, serves, leaving }: Serving): Runtime {
  return {
    ...worker.state,
    running: worker.running,
    async applyCommands(commands, desired) {
      const isNew = !sameText(desired.sections, worker.sections);
      const outcome = await worker.applyCommands(commands, desired);
      if (!serves()) return { kind: 'superseded' };
      if (outcome.kind === 'applied' && isNew) noteChange();
      return outcome;
    },
    followers: leaving.map(followerOf),
    observe: (owners) => worker.observe(owners),
    // The file stays what was wanted: what somebody made of it is not for the next start.
    acceptObserved: (running, leaving) => worker.acceptObserved(running, leaving),
  };
}

function followerOf(worker: Worker): CommandedProcess {
  return {
    ...worker.state,
    running: worker.running,
    async applyCommands(commands, desired) {
      const outcome = await worker.applyCommands(commands, desired);
      // It goes anyway: what it did not take is not asked of it again.
      if (outcome.kind === 'unexpected') worker.acceptObserved(desired, []);
      return outcome;
    },
  };
}
