#!/usr/bin/env node
/** The command line: parses arguments, runs one command, turns errors into a message and an exit code. */
import { setFlagsFromString } from 'node:v8';
import { CommanderError } from 'commander';
import { commandLine } from './commands/command-line.ts';
import { AppError, describe, docsOf, type ErrorCode, exitCodes, hasCode } from './errors.ts';
import { printableJson, printableLines } from './report/text/printable.ts';
import { nodeProblem } from './version.ts';

// A tenth less memory: what is allocated while starting would make the young generation grow for good.
setFlagsFromString('--semi-space-growth-factor=1');
// Under many changes a second, two thirds of the memory for a tenth more of the processor.
setFlagsFromString('--heap-growing-percent=50');

process.exitCode = await main(process.argv.slice(2));
// All of Myelin's own work has ended; what the module of a user left open must not keep the process alive.
setTimeout(() => process.exit(), 1000).unref();

async function main(argv: readonly string[]): Promise<number> {
  const oldNode = nodeProblem(process.versions.node);
  if (oldNode !== null) {
    process.stderr.write(`error: ${oldNode}\nwhat to do: install a newer one (https://nodejs.org)\n`);
    return exitCodes.unexpected;
  }
  process.stdout.on('error', reportLostOutput);
  const isJson = argv.includes('--json');
  let exitCode: number = exitCodes.ok;
  const program = commandLine({
    isJson,
    onDone: (code) => {
      exitCode = code;
    },
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    return isJson ? reportJson(error) : report(error);
  }
}

/** Who reads may have enough before the end (`myelin render | head`); a full disk must not pass for success. */
function reportLostOutput(error: Error): void {
  if (hasCode(error, 'EPIPE')) return;
  process.stderr.write(`error: the result could not be written: ${error.message}\n`);
  process.once('exit', () => {
    process.exitCode = exitCodes.unexpected;
  });
}

/** With `--json`: one object on standard error, whatever the error. */
function reportJson(error: unknown): number {
  const { exitCode, ...facts } = factsOf(error);
  if (exitCode !== exitCodes.ok)
    process.stderr.write(`${printableJson({ error: { ...facts, docs: docsOf(facts.code), exitCode } })}\n`);
  return exitCode;
}

type Facts = { readonly code: ErrorCode | 'MYELIN_UNEXPECTED'; readonly message: string; readonly exitCode: number };

function factsOf(error: unknown): Facts {
  if (error instanceof CommanderError) {
    const exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    return { code: 'MYELIN_USAGE', message: error.message.replace(/^error: /, ''), exitCode };
  }
  if (error instanceof AppError) {
    const { code, remedy, exitCode } = error;
    const problems = 'problems' in error ? { problems: error.problems } : {};
    return { code, message: describe(error), ...(remedy !== undefined && { remedy }), ...problems, exitCode };
  }
  return { code: 'MYELIN_UNEXPECTED', message: describe(error), exitCode: exitCodes.unexpected };
}

/** Commander has already printed its own messages, help and version included. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (error instanceof AppError) {
    process.stderr.write(`error: ${printableLines(describe(error))} [${error.code}]\n`);
    if (error.remedy !== undefined) process.stderr.write(`what to do: ${printableLines(error.remedy)}\n`);
    return error.exitCode;
  }
  const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`unexpected error: ${printableLines(words)}\n`);
  return exitCodes.unexpected;
}
