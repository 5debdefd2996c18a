/** Ports for the demo: the ones that are easy to remember where they are free, else others. */
import { createServer } from 'node:net';
import { AppError } from '../errors.ts';

/** The wanted number of ports of 127.0.0.1: from `base` upwards, without those in use. */
export async function freePorts(base: number, count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let port = base; ports.length < count && port < 65_536; port++) if (await isFree(port)) ports.push(port);
  if (ports.length < count)
    throw new AppError('MYELIN_USAGE', `${count} ports are needed from ${base} on, and only ${ports.length} are free`);
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
