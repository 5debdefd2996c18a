/** `npm run demo`: provides what the demo looks for in PATH, then runs it. */
import { spawn } from 'node:child_process';
import { delimiter, dirname, resolve } from 'node:path';
import { consulBinary } from '../servers/consul.ts';
import { haproxy } from '../servers/haproxy.ts';

const args = process.argv.slice(2);
const programs = [await haproxy(), ...(args.includes('--consul') ? [await consulBinary()] : [])];
const PATH = [...programs.map((path) => dirname(path)), process.env.PATH].join(delimiter);
const cli = resolve(import.meta.dirname, '../../src/cli.ts');
const demo = spawn(process.execPath, [cli, 'demo', ...args], { stdio: 'inherit', env: { ...process.env, PATH } });
// Ctrl-C reaches the demo by itself; this process only waits for it.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => demo.kill('SIGTERM'));
demo.once('exit', (code) => process.exit(code ?? 1));
