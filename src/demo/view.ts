/** The display of the demo: on a terminal a few lines that stay in place, else a line a second; and the last table. */
import { styleText } from 'node:util';
import type { LoadReport } from './load.ts';

type Frame = {
  readonly elapsedSeconds: number;
  readonly seconds: number;
  readonly load: LoadReport | null;
  readonly backends: readonly string[];
  readonly changes: number;
  /** The number of HAProxy processes so far. */
  readonly generation: number;
  readonly processes: number;
  /** The latest event. */
  readonly news: string;
};

export type View = { show(frame: Frame): void };

export function createView(out: NodeJS.WriteStream): View {
  return out.isTTY ? liveView(out) : lineView(out);
}

function liveView(out: NodeJS.WriteStream): View {
  let drawn = 0;
  return {
    show(frame) {
      const lines = [
        `${bar(frame.elapsedSeconds / frame.seconds)} ${frame.elapsedSeconds.toFixed(0)} of ${frame.seconds} s`,
        `  backends   ${frame.backends.join(' ')}`,
        `  requests   ${frame.load?.requests ?? 0}, failed ${failed(frame.load)}`,
        `  changes    ${frame.changes}, HAProxy generation ${frame.generation} in ${counted(frame.processes, 'process', 'processes')}`,
        `  now        ${frame.news}`,
      ];
      const up = drawn === 0 ? '' : `\x1b[${drawn}A`;
      out.write(`${up}${lines.map((line) => `\x1b[2K${line.slice(0, out.columns)}\n`).join('')}`);
      drawn = lines.length;
    },
  };
}

function lineView(out: NodeJS.WriteStream): View {
  let shownAt = -1;
  return {
    show({ elapsedSeconds, load, backends, changes, generation, news }) {
      if (Math.floor(elapsedSeconds) === shownAt) return;
      shownAt = Math.floor(elapsedSeconds);
      const counts = `${load?.requests ?? 0} requests, ${load?.failed ?? 0} failed, ${counted(changes, 'change', 'changes')}, HAProxy generation ${generation}`;
      out.write(`${String(shownAt).padStart(3)} s  ${counts}, backends ${backends.join(' ')}: ${news}\n`);
    },
  };
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

function failed(load: LoadReport | null): string {
  const count = load?.failed ?? 0;
  return styleText(count === 0 ? 'green' : 'red', String(count));
}

function bar(share: number): string {
  const filled = Math.round(Math.min(share, 1) * 30);
  return `[${'█'.repeat(filled)}${'·'.repeat(30 - filled)}]`;
}
