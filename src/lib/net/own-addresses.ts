/** Where connections to this machine, or to the node that this pod is on, end up. */
import { networkInterfaces } from 'node:os';

/** `env`: in a pod, it names the pod's own address and the node's, whose ports may lead to the pod. */
export function ownAddresses(env: NodeJS.ProcessEnv): readonly string[] {
  const here = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const fromEnvironment = [env.POD_IP, env.NODE_IP, env.HOST_IP].filter((one) => one !== undefined);
  return [...new Set([...here, ...fromEnvironment])].sort();
}
