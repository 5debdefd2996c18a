/** How the commands that talk to the running Myelin find it. */
import { loadConfig } from '../../config/load.ts';
import { ConfigError } from '../../config/problems.ts';
import { AppError } from '../../errors.ts';
import { askMyelin, type ClientOptions } from '../../http/client.ts';

export type Running = {
  readonly socket: string;
  /** The answer's JSON. */
  ask(method: 'GET' | 'POST', path: string, options?: ClientOptions): Promise<unknown>;
};

export async function askRunning(configFile: string, ...asked: Parameters<Running['ask']>): Promise<unknown> {
  return (await findRunning(configFile)).ask(...asked);
}

/**
 * The Myelin that runs with this config. If the config broke later, Myelin still runs with the old one, and is queried
 * too: its status says what is wrong.
 */
export async function findRunning(configFile: string): Promise<Running> {
  const { socket, problem } = await findSocket(configFile);
  return {
    socket,
    async ask(method, path, options) {
      try {
        return await askMyelin(socket, method, path, options);
      } catch (error) {
        throw problem !== null && isNotRunning(error) ? problem : error;
      }
    },
  };
}

export function isNotRunning(error: unknown): boolean {
  return error instanceof AppError && error.code === 'MYELIN_NOT_RUNNING';
}

async function findSocket(
  configFile: string,
): Promise<{ readonly socket: string; readonly problem: ConfigError | null }> {
  try {
    const { config } = await loadConfig(configFile, process.env);
    return { socket: config.admin.socket, problem: null };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { socket: error.socket, problem: error };
  }
}
