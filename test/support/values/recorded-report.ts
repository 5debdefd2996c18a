/** A reporter whose log, events and metrics are looked at. */
import { Events } from '../../../src/report/events.ts';
import { logged } from '../../../src/report/facts.ts';
import { entryOf } from '../../../src/report/messages.ts';
import { Reporter } from '../../../src/report/reporter.ts';
import { metricsOf } from './metrics.ts';

export type RecordedReport = {
  readonly reporter: Reporter;
  /** `level subject: text`, at `info` and above. */
  readonly lines: readonly string[];
  /** The facts of each line. */
  readonly facts: readonly Readonly<Record<string, unknown>>[];
  readonly events: Events;
  readonly kinds: () => readonly string[];
  /** What is served under this name, with its labels. */
  readonly metric: (nameAndLabels: string) => Promise<number | null>;
};

export function recordedReport(now = (): number => 0): RecordedReport {
  const lines: string[] = [];
  const facts: Readonly<Record<string, unknown>>[] = [];
  const events = new Events({ now, masked: (value) => value });
  const metrics = metricsOf();
  const log = {
    tell(message: Parameters<typeof logged>[0], isRepeat: boolean): void {
      const { level, text } = entryOf(message.kind);
      if (isRepeat || level === 'debug') return;
      const its = logged(message);
      const subject = [its.watcher, its.service, its.server].filter((part) => part !== undefined).join('/');
      lines.push(`${level} ${subject === '' ? '' : `${subject}: `}${text}`);
      facts.push(its);
    },
    trace: () => undefined,
  };
  const reporter = new Reporter({ log, events, metrics, now });
  return {
    reporter,
    lines,
    facts,
    events,
    kinds: () => events.after(null).map(({ kind }) => kind),
    async metric(nameAndLabels) {
      const line = (await metrics.text()).split('\n').find((one) => one.startsWith(`${nameAndLabels} `));
      return line === undefined ? null : Number(line.slice(nameAndLabels.length + 1));
    },
  };
}
