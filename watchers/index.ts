/** One watcher for each kind of source; what it needs is loaded only when it is configured. */
import type { WatcherConfig } from '../src/config/schema.ts';
import type { Watch } from '../src/model.ts';

/**
 * The queries that it is given must be of its kind: the config's loader has validated them by the kind's schema.
 * `onSecret` is told of what it proves itself with, which nobody is to read in a message.
 */
export async function createWatch(
  config: WatcherConfig,
  env: NodeJS.ProcessEnv,
  onSecret: (secret: string) => void = () => {},
): Promise<Watch> {
  switch (config.type) {
    case 'consul':
      return (await import('./consul/index.ts')).watchConsul(config, env, onSecret) as Watch;
    case 'file':
      return (await import('./file/index.ts')).watchFile(config) as Watch;
    case 'kubernetes':
      return (await import('./kubernetes/index.ts')).watchKubernetes(config, env, onSecret) as Watch;
  }
}
