/**
 * Credentials from a program that the kubeconfig names (`exec`), as kubectl asks for them. A program that hangs is ended
 * with all that it started; the package's own way leaves one more of them behind at each try.
 */
import { z } from 'zod';
import { AppError, describe } from '../../../src/errors.ts';
import { describeExit, runCommand } from '../../../src/lib/command.ts';
import { wallClock } from '../../../src/lib/time/clock.ts';
import type { Ms, Timestamp } from '../../../src/model.ts';

export type Plugin = {
  readonly command: string;
  readonly args: readonly string[];
  /** Variables beside those of Myelin's own environment. */
  readonly env: Readonly<Record<string, string>>;
};

/** What proves who asks: headers, or a client certificate. */
export type Proof = {
  readonly token?: string | undefined;
  readonly clientCertificateData?: string | undefined;
  readonly clientKeyData?: string | undefined;
};

/** A plugin that asks somebody for a password would hang for ever. */
const answerMs: Ms = 60_000;
/** The length of the end of its output that an error quotes. */
const mostTold = 500;

const text = z.string().optional();
const answer = z.object({
  status: z.object({
    token: text,
    clientCertificateData: text,
    clientKeyData: text,
    expirationTimestamp: text,
  }),
});

type Given = { readonly proof: Proof; readonly expiresAt: Timestamp };

/** Runs the plugin once for all simultaneous requests, and again when the credentials have expired. */
export class PluginCredentials {
  readonly #plugin: Plugin;
  readonly #env: NodeJS.ProcessEnv;
  readonly #signal: AbortSignal;
  readonly #timeoutMs: Ms;
  #given: Promise<Given> | null = null;

  /** What still runs when `signal` aborts is ended. */
  constructor(plugin: Plugin, env: NodeJS.ProcessEnv, signal: AbortSignal, timeoutMs: Ms = answerMs) {
    this.#plugin = plugin;
    this.#env = env;
    this.#signal = signal;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects with an AppError; then the next call runs the plugin again. */
  async get(): Promise<Proof> {
    const given = this.#given;
    const known = await given?.catch(() => null);
    const isGood = known != null && known.expiresAt > wallClock();
    // The first request that finds the credentials expired runs the plugin for all.
    if (!isGood && this.#given === given) this.#given = this.#ask();
    return (await (this.#given ?? this.#ask())).proof;
  }

  async #ask(): Promise<Given> {
    const { command, args } = this.#plugin;
    try {
      const finished = await runCommand([command, ...args], {
        timeoutMs: this.#timeoutMs,
        signal: this.#signal,
        env: { ...this.#env, ...this.#plugin.env },
        endsChildren: true,
      });
      if (finished.status !== 0 || finished.timedOut)
        throw new Error(`${describeExit(finished)} ${finished.stderr.slice(-mostTold)}`);
      const { status } = answer.parse(JSON.parse(finished.stdout));
      return { proof: status, expiresAt: Date.parse(status.expirationTimestamp ?? '') || Number.POSITIVE_INFINITY };
    } catch (error) {
      const why = describe(error).replace(/\s+/g, ' ').trim();
      throw new AppError(
        'MYELIN_SOURCE_FAILED',
        `no credentials for the Kubernetes API from ${JSON.stringify(command)}: ${why}`,
      );
    }
  }
}
