/** Asks `haproxy -c` for its opinion of a config, and reads what HAProxy prints about one. */
import { AppError, describe, hasCode } from '../../errors.ts';
import { describeExit, lastLines, runCommand } from '../../lib/command.ts';
import { environmentFor } from '../../lib/environment.ts';
import type { Ms } from '../../model.ts';

/** One thing that HAProxy refuses, in its own words. */
export type Complaint = {
  readonly message: string;
  /** As HAProxy names it: the path that it was given. */
  readonly file?: string;
  readonly line?: number;
};

export type Opinion = {
  /** What is wrong with the config; nothing where HAProxy would accept it. */
  readonly refused: readonly Complaint[];
  readonly warnings: readonly Complaint[];
};

type Limits = {
  readonly timeoutMs: Ms;
  readonly signal?: AbortSignal | undefined;
  readonly passEnv: readonly string[];
};

export async function checkConfig(
  binary: string,
  files: readonly string[],
  limits: Limits,
): Promise<readonly Complaint[]> {
  return (await askForOpinion(binary, files, limits)).refused;
}

/**
 * Without -W and -S on purpose: with them an empty file passes. Only the exit status counts: what is printed on success
 * differs between versions.
 */
export async function askForOpinion(binary: string, files: readonly string[], limits: Limits): Promise<Opinion> {
  const { timeoutMs, signal, passEnv } = limits;
  const argv = [binary, '-c', ...files.flatMap((file) => ['-f', file])];
  try {
    const env = await environmentFor(process.env, files, passEnv);
    const finished = await runCommand(argv, { timeoutMs, signal, env });
    const warnings = parseMessages(finished.stderr, 'WARNING');
    if (finished.status === 0) return { refused: [], warnings };
    const complaints = parseAlerts(finished.stderr);
    // With `zero-warning` in the global section each warning is an error.
    if (complaints.length > 0 && complaints.every(({ message }) => message.includes("'zero-warning' is set")))
      return { refused: warnings.length > 0 ? warnings : complaints, warnings: [] };
    if (complaints.length > 0) return { refused: complaints, warnings };
    const output = lastLines(`${finished.stderr}\n${finished.stdout}`);
    const message = `${argv.join(' ')}: ${describeExit(finished)}${output === '' ? '' : `: ${output}`}`;
    return { refused: [{ message }], warnings };
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EACCES', 'ENOEXEC', 'ETXTBSY')) throw error;
    throw new AppError('MYELIN_HAPROXY_UNAVAILABLE', `${binary} cannot be run: ${describe(error)}`, {
      cause: error,
      remedy: 'haproxy.binary in myelin.yaml must name a HAProxy that runs on this machine',
    });
  }
}

/** `[ALERT] (PID) : …`, with a date before the PID up to 2.2. */
const messageLine = /^\[(ALERT|WARNING)\]\s+(?:\S+ )?\(\d+\) : (.*)$/;
/** Lines that only sum up the messages before them. */
const summaries =
  /^(?:config : )?(?:Error\(s\) found in configuration file|Fatal errors found in configuration|.*Some protocols failed to start their listeners)/;
const place = /\[([^\]\s]+):(\d+)\]/;

/** The words that HAProxy knows in a place may be sixty: who reads looks for the one that is wrong. */
function shortened(text: string): string {
  return text.replace(/(?:'[^']*', ){8,}/g, (list) => {
    const words = list.split(', ').slice(0, -1);
    return `${words.slice(0, 3).join(', ')} and ${words.length - 3} more, `;
  });
}

export function parseAlerts(output: string): readonly Complaint[] {
  return parseMessages(output, 'ALERT');
}

/** The messages of one kind, each with its continuation lines and its place, without PID and prefixes. */
function parseMessages(output: string, kind: 'ALERT' | 'WARNING'): readonly Complaint[] {
  const messages: string[] = [];
  let isMeant = false;
  for (const line of output.split('\n')) {
    const [whole, its, text = ''] = messageLine.exec(line) ?? [];
    if (whole !== undefined) {
      isMeant = its === kind && !summaries.test(text);
      if (isMeant) messages.push(text.trim());
    } else if (line.startsWith('[')) isMeant = false;
    else if (isMeant && /^\s+\| /.test(line)) messages.push(`${messages.pop()} ${line.replace(/^\s+\| /, '').trim()}`);
  }
  return messages.map(readMessage);
}

function readMessage(text: string): Complaint {
  const words = shortened(text.replace(/^config : (?:config: )?/, ''));
  const [whole, file, line] = place.exec(words) ?? [];
  if (whole === undefined || file === undefined) return { message: words };
  const at = words.indexOf(whole);
  const before = words.slice(0, at).replace(/^parsing $/, '');
  const message = before + words.slice(at + whole.length).replace(/^\s*:?\s*/, '');
  return { message, file, line: Number(line) };
}
