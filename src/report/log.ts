/** The log: it turns messages into lines, and no failure of the log stops the code that logs. */
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import pino from 'pino';
import { AppError, describe, hasCode } from '../errors.ts';
import type { LogFormat, LogLevel, Ms } from '../model.ts';
import { logged } from './facts.ts';
import { formatLine } from './log-line.ts';
import { entryOf, type Message } from './messages.ts';

export type Log = {
  /** `isRepeat`: nothing has changed since the last such message. */
  tell(message: Message, isRepeat: boolean): void;
  /** For debugging: these lines are no messages. */
  trace(facts: Readonly<Record<string, unknown>>, text: string): void;
};

export type LogOptions = {
  /** Called at each line, because the config may change. */
  readonly style: () => { readonly level: LogLevel; readonly format: LogFormat };
  /** File descriptor: 1 is stdout, 2 is stderr. */
  readonly destination: 1 | 2;
  /** Called at each line, because tokens rotate. */
  readonly secrets: () => readonly string[];
};

export function createLog({ style, destination, secrets }: LogOptions): Log {
  const sink = new Sink(destination);
  const isColoured = isatty(destination) && !process.env.NO_COLOR;
  const write = (line: string): void =>
    sink.write(formatLine(line, { secrets: secrets(), format: style().format, isColoured }));
  const log = pino(
    {
      level: style().level,
      base: { app: 'myelin' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    { write },
  );
  return {
    tell(message, isRepeat) {
      const { level: usual, text } = entryOf(message.kind);
      followLevel();
      log[isRepeat ? 'debug' : usual](logged(message), text);
    },
    trace(facts, text) {
      followLevel();
      log.trace(facts, text);
    },
  };

  function followLevel(): void {
    const { level } = style();
    if (log.level !== level) log.level = level;
  }
}

/** The stack of an error of ours helps nobody: its message says what is wrong. */
function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const facts = pino.stdSerializers.err(error);
  const message = describe(error);
  return error instanceof AppError ? { ...facts, message, stack: undefined } : { ...facts, message };
}

/** How long a reader that does not read may delay the code that logs. */
const patienceMs: Ms = 1000;
const stepMs: Ms = 5;

/**
 * Writes lines at once, so that they survive a crash. A full disk, or a reader that went away or does not read, costs
 * lines and nothing else: pino's own destination would wait for the reader for ever.
 */
class Sink {
  readonly #fd: number;
  /** The last line was lost, as a whole or in part. */
  #isBroken = false;

  constructor(fd: number) {
    this.#fd = fd;
  }

  write(line: string): void {
    let rest = Buffer.from(this.#isBroken ? `\n${line}\n` : `${line}\n`);
    for (let waitedMs = 0; rest.length > 0; ) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest));
      } catch (error) {
        const isWorthWaiting = hasCode(error, 'EAGAIN') && !this.#isBroken && waitedMs < patienceMs;
        if (!isWorthWaiting) {
          this.#isBroken = true;
          return;
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stepMs);
        waitedMs += stepMs;
      }
    }
    this.#isBroken = false;
  }
}
