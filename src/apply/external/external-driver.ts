/**
 * Controls `command` and `none`: somebody else starts HAProxy. Its file target runs the operator's commands; what
 * was made live last is kept in `state` as sections, so that the next plan has reasons.
 */
import { realpath } from 'node:fs/promises';
import { AppError } from '../../errors.ts';
import { findBinary } from '../../haproxy/binary/binary.ts';
import { parseAlerts } from '../../haproxy/binary/check.ts';
import { filesIn } from '../../haproxy/text/layout/files.ts';
import { layoutOf, textOf } from '../../haproxy/text/layout/layout.ts';
import { environmentOf } from '../../lib/environment.ts';
import { tryOut } from '../../lib/files/config-file.ts';
import { type FailedStep, type FileTarget, makeLive, recover, runStep } from '../../lib/files/file-target.ts';
import type { Problem, ReloadReason, Section } from '../../model.ts';
import type { Driver, DriverContext, Outcome, Running } from '../driver.ts';
import { toProblems } from '../problems.ts';
import { recordIn } from '../state/generation.ts';
import { forgetSections, readSections, writeFirst, writeSections } from '../state/records.ts';
import { sectionsOf } from '../state/sections.ts';

export async function openExternalDriver(context: DriverContext, signal: AbortSignal): Promise<Driver> {
  const { config, env, file, onEvent, now, tolerate } = context;
  const { haproxy, state } = config();
  const live = recordIn(await realpath(state));
  const forgetLive = (): Promise<void> => forgetSections(live);
  const isRecorded = async (text: string): Promise<boolean> => {
    const recorded = await readSections(live);
    return recorded !== null && textOf(recorded) === text;
  };
  if (await recover({ file, isLive: isRecorded, forgetLive })) onEvent({ kind: 'file_restored', path: file.path });
  const text = await file.read();
  const recorded = await readSections(live);
  const isLive = recorded !== null && textOf(recorded) === text;
  // Only the version is of use here, where the HAProxy elsewhere has the same one.
  const binary = await findBinary(haproxy.binary, env.PATH, { signal }).catch(() => null);
  const found = text === null || isLive ? null : sectionsOf(text, null);
  let running: Running | null = null;
  if (isLive) setRunning(recorded);

  return {
    found,
    version: binary?.version ?? null,
    unresponsive: null,
    masterTrouble: null,
    oldWorkers: [],
    leaving: 0,
    followers: [],
    polling: null,

    get active() {
      return running === null ? null : { running, worker: null, record: null };
    },

    get forced(): readonly ReloadReason[] {
      return running === null ? [{ code: 'first_start' }] : [];
    },

    update: (sections) =>
      bring(sections, async (text) => {
        await file.write(text, filesIn(sections));
        await noteLive(sections);
        return null;
      }),

    replace: (sections, _reasons, ended) => bring(sections, (text) => makeLive(targetFor(sections), text, ended)),

    async check(sections, ended) {
      const target = targetFor(sections);
      if (target.check === null) return [];
      const failed = await tryOut(file, layoutOf(sections), () => runStep(target, 'check', file.candidate, ended));
      return failed === null ? [] : problemsOf(failed, sections);
    },

    /** Who started HAProxy elsewhere also ends it. */
    async stop() {},
  };

  function targetFor(sections: readonly Section[]): FileTarget {
    const { reload, haproxy: its } = config();
    return {
      file,
      beside: filesIn(sections),
      check: its.checkCommand ?? null,
      checked: 'candidate',
      reload: (its.control === 'command' ? its.reloadCommand : null) ?? null,
      failedReload: 'put_back',
      timeoutMs: reload.startTimeout,
      env: environmentOf(env, textOf(sections), its.passEnv),
      noteLive: () => noteLive(sections),
      isLive: isRecorded,
      forgetLive,
    };
  }

  /** Records what is live. Where the record is missing, the next Myelin tells HAProxy to reload again. */
  function noteLive(sections: readonly Section[]): Promise<void> {
    return tolerate(writeSections(live, sections));
  }

  async function bring(
    sections: readonly Section[],
    make: (text: string) => Promise<FailedStep | null>,
  ): Promise<Outcome> {
    const isFirst = (await file.read()) === null;
    const failed = await make(textOf(sections));
    if (failed !== null) {
      const problems = problemsOf(failed, sections);
      return failed.step === 'check' ? { kind: 'refused', problems } : reloadFailed(problems);
    }
    setRunning(sections);
    if (isFirst) await tolerate(file.stamp().then((stamp) => writeFirst(live, stamp)));
    return { kind: 'applied', tookMs: 0 };
  }

  function setRunning(sections: readonly Section[]): void {
    running = { sections, generation: (running?.generation ?? 0) + 1, since: now(), process: null };
  }
}

/** Problems in HAProxy's words, with line and service where the command printed them. Throws where it cannot be run. */
function problemsOf(failed: FailedStep, sections: readonly Section[]): readonly Problem[] {
  const { argv, path, reason } = failed;
  if (failed.kind === 'not_run')
    throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${argv[0]} ${reason}`, {
      cause: failed.cause,
      remedy: 'haproxy.checkCommand and haproxy.reloadCommand name the program first, then its arguments; no shell',
    });
  const problems = toProblems(parseAlerts(failed.output), sections, [path]);
  return problems.length > 0 ? problems : [{ message: `${argv.join(' ')}: ${reason}`, service: null }];
}

function reloadFailed(problems: readonly Problem[]): Outcome {
  const error = new AppError(
    'MYELIN_HAPROXY_FAILED',
    `haproxy.reloadCommand failed: ${problems.map(({ message }) => message).join('; ')}`,
    { remedy: 'run it by hand; the previous file is in its place again' },
  );
  return { kind: 'failed', error, problems };
}
