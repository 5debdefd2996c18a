/** Asks `haproxy -c` for its opinion of a config, and reads what HAProxy prints about one. */
import { AppError, describe, hasCode } from '../errors.ts';
import type { Ms } from '../model.ts';
import { describeExit, runCommand } from './command.ts';
import { environmentFor } from './environment.ts';

/** One thing that HAProxy refuses, in its own words. */
export type Complaint = {
  readonly message: string;
  /** As HAProxy names it: the path that it was given. */
  readonly file?: string;
  readonly line?: number;
};

/**
 * What is wrong with the config; nothing where HAProxy would accept it. Without -W and -S on purpose: with them an
 * empty file passes. Only the exit status counts: what is printed on success differs between versions.
 */
export async function checkConfig(
  binary: string,
  files: readonly string[],
  limits: { readonly timeoutMs: Ms; readonly signal?: AbortSignal | undefined; readonly passEnv: readonly string[] },
): Promise<readonly Complaint[]> {
  const { timeoutMs, signal, passEnv } = limits;
  const argv = [binary, '-c', ...files.flatMap((file) => ['-f', file])];
  try {
    const env = await environmentFor(process.env, files, passEnv);
    const finished = await runCommand(argv, { timeoutMs, signal, env });
    if (finished.status === 0) return [];
    const complaints = parseAlerts(finished.stderr);
    if (complaints.length > 0) return complaints;
    const output = lastLines(`${finished.stderr}\n${finished.stdout}`);
    return [{ message: `${argv.join(' ')}: ${describeExit(finished)}${output === '' ? '' : `: ${output}`}` }];
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EACCES', 'ENOEXEC', 'ETXTBSY')) throw error;
    throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${binary} cannot be run: ${describe(error)}`, {
      cause: error,
      remedy: 'haproxy.binary in myelin.yaml must name a HAProxy that runs on this machine',
    });
  }
}

/** `[ALERT] (PID) : …`, with a date before the PID up to 2.2. */
const alertLine = /^\[ALERT\]\s+(?:\S+ )?\(\d+\) : (.*)$/;
/** These sum up what was said before them. */
const summaries =
  /^(?:config : )?(?:Error\(s\) found in configuration file|Fatal errors found in configuration|.*Some protocols failed to start their listeners)/;
const place = /\[([^\]\s]+):(\d+)\]/;

/** The alerts among HAProxy's lines, each with its continuation lines and its place, without PID and prefixes. */
export function parseAlerts(output: string): readonly Complaint[] {
  const alerts: string[] = [];
  let isAlert = false;
  for (const line of output.split('\n')) {
    const text = alertLine.exec(line)?.[1];
    if (text !== undefined) {
      isAlert = !summaries.test(text);
      if (isAlert) alerts.push(text.trim());
    } else if (line.startsWith('[')) isAlert = false;
    else if (isAlert && /^\s+\| /.test(line)) alerts.push(`${alerts.pop()} ${line.replace(/^\s+\| /, '').trim()}`);
  }
  return alerts.map(readAlert);
}

function readAlert(text: string): Complaint {
  const words = text.replace(/^config : /, '');
  const [whole, file, line] = place.exec(words) ?? [];
  if (whole === undefined || file === undefined) return { message: words };
  const at = words.indexOf(whole);
  const before = words.slice(0, at).replace(/^parsing $/, '');
  const message = before + words.slice(at + whole.length).replace(/^\s*:?\s*/, '');
  return { message, file, line: Number(line) };
}

/** The end of an output on one line, for messages. */
export function lastLines(output: string, count = 5): string {
  return output.trim().split('\n').slice(-count).join(' | ').slice(-1000);
}
