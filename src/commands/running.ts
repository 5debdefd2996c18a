/** How the commands that talk to the running Myelin find it. */
import { loadConfig } from '../config/load.ts';
import { ConfigError } from '../config/problems.ts';
import { AppError } from '../errors.ts';
import { askMyelin, type ClientOptions } from '../http/client.ts';

/**
 * The answer of the Myelin that runs with this config. One whose config was broken since still runs with what it had,
 * and is asked all the same: its status says what is wrong.
 */
export async function askRunning(
  configFile: string,
  method: 'GET' | 'POST',
  path: string,
  options?: ClientOptions,
): Promise<unknown> {
  const { socket, problem } = await findSocket(configFile);
  try {
    return await askMyelin(socket, method, path, options);
  } catch (error) {
    throw problem !== null && error instanceof AppError && error.code === 'MYELIN_NOT_RUNNING' ? problem : error;
  }
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
