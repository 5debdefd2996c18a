/** A driver of which a test says what it does: by itself all is well, whatever is reloaded runs, and nothing else can be done. */
import type { Crash, ManagedDriver, Outcome, Running, Runtime } from '../../../src/apply/driver.ts';
import type { ReloadSlot } from '../../../src/apply/reload-policy.ts';
import type { Version } from '../../../src/haproxy/binary/version.ts';
import type { Plan, Problem, ReloadReason, Rendered, Section } from '../../../src/model.ts';

export class ScriptedDriver implements ManagedDriver {
  readonly version: Version | null = null;
  forced: readonly ReloadReason[] = [];
  readonly oldWorkers = [];
  readonly fileTrouble = null;
  readonly unresponsive = null;
  readonly masterTrouble = null;
  crash: Crash | null = null;
  readonly found: readonly Section[] | null;
  running: Running | null = null;
  /** Until when a reload has to wait. */
  freeAt = 0;
  /** Those that came to their end. */
  readonly reloads: Plan[] = [];

  constructor(found: readonly Section[] | null = null) {
    this.found = found;
  }

  get followers(): readonly Runtime[] {
    return [];
  }

  get runtime(): Runtime | null {
    return null;
  }

  /** From now on; the process stays the same. */
  run(sections: readonly Section[]): void {
    this.running = { generation: 1, since: 0, process: null, ...this.running, sections };
  }

  use(): void {}

  reloadAt(): ReloadSlot {
    return { at: this.freeAt, because: 'nothing' };
  }

  async apply(wanted: Rendered, plan: Plan): Promise<Outcome> {
    if (plan.kind === 'reload') {
      const problems = await this.check(wanted);
      if (problems.length > 0) return { kind: 'refused', problems };
      this.reloads.push(plan);
    }
    this.run(wanted.sections);
    return { kind: 'applied', tookMs: 0 };
  }

  async check(_wanted: Rendered): Promise<readonly Problem[]> {
    return [];
  }

  async stop(): Promise<void> {}
  async [Symbol.asyncDispose](): Promise<void> {}
}
