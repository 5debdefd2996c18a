/** A reconciler with its updater before a real HAProxy, which reads back often and repairs what it finds. */
import type { Drift, Rendered } from '../../../src/model.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { RuntimeUpdater } from '../../../src/reconcile/runtime/runtime-updater.ts';
import { type HaproxyBranch, haproxy } from '../../servers/haproxy.ts';
import { never, type Setup } from './apply.ts';

/** `drift`: all that was found so far. */
export async function reconciling(my: Setup, branch?: HaproxyBranch) {
  const control = await my.open({ haproxy: { binary: await haproxy(branch) } });
  const drift: Drift[] = [];
  const updater = new RuntimeUpdater(control, {
    now: Date.now,
    verify: () => ({ verifyInterval: 50, drift: 'repair' }),
    report: (happening) => drift.push(...happening.drift),
  });
  const reconciler = new Reconciler(control, updater, () => new Map(), Date.now);
  return {
    control,
    updater,
    drift,
    async reconcile(desired: Rendered) {
      return reconciler.reconcile(
        { rendered: { ...desired, problems: [] }, requested: [], onMeanwhile() {}, onReload() {} },
        never,
      );
    },
  };
}
