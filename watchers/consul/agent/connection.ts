/** How the agent is reached: the config comes first, then the variables that the `consul` command line reads. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import { AppError } from '../../../src/errors.ts';
import type { ConsulSettings } from '../settings.ts';

export type Connection = {
  /** The address without credentials, for messages. */
  readonly name: string;
  /** Without a trailing slash; `http://localhost` where `socketPath` is set. */
  readonly url: string;
  readonly socketPath?: string;
  /** `user:password` of HTTP basic authentication. */
  readonly basicAuth?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tls: TlsFiles;
};

type TlsFiles = {
  readonly caFile?: string;
  readonly caPath?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
  readonly verify: boolean;
};

export type TlsOptions = Pick<SecureContextOptions, 'ca' | 'cert' | 'key'> & {
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
};

export function connectionOf(settings: ConsulSettings, env: NodeJS.ProcessEnv): Connection {
  const basicAuth = set(env.CONSUL_HTTP_AUTH);
  return {
    ...addressOf(settings, env),
    ...(basicAuth === undefined ? {} : { basicAuth }),
    ...tokenOf(settings, env),
    tls: tlsOf(settings, env),
  };
}

/** Called at each start of the watcher, so that renewed certificates are used. */
export async function readTls(files: TlsFiles): Promise<TlsOptions> {
  const [authorities, cert, key] = await Promise.all([
    readAuthorities(files),
    readOptional('certificate', files.certFile),
    readOptional('key', files.keyFile),
  ]);
  return {
    rejectUnauthorized: files.verify,
    ...(authorities.length === 0 ? {} : { ca: authorities }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(files.serverName === undefined ? {} : { servername: files.serverName }),
  };
}

function addressOf(settings: ConsulSettings, env: NodeJS.ProcessEnv): Pick<Connection, 'name' | 'url' | 'socketPath'> {
  const address = settings.address ?? set(env.CONSUL_HTTP_ADDR) ?? '127.0.0.1:8500';
  const [, scheme, rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/.exec(address) ?? [];
  if (scheme === 'unix') return { name: address, url: 'http://localhost', socketPath: rest };
  // As in the consul CLI, CONSUL_HTTP_SSL wins over the scheme of CONSUL_HTTP_ADDR. A scheme in our config wins over both.
  const schemeIsOurs = settings.address !== undefined && scheme !== undefined;
  const isSecure = !schemeIsOurs && isTrue('CONSUL_HTTP_SSL', env) === true;
  const url = parseUrl(isSecure ? 'https' : (scheme ?? 'http'), rest, address);
  const path = url.pathname.replace(/\/+$/, '');
  return { name: `${url.origin}${path}`, url: `${url.origin}${path}` };
}

function parseUrl(scheme: string, rest: string, address: string): URL {
  const url = ['http', 'https'].includes(scheme) ? URL.parse(`${scheme}://${rest}`) : null;
  if (url !== null && url.username === '' && url.password === '') return url;
  const shown = JSON.stringify(address.replace(/\/\/[^/]*@/, '//…@'));
  throw new AppError('MYELIN_SOURCE_FAILED', `${shown} is no address of a Consul agent`, {
    remedy: 'write http://HOST:PORT, https://HOST:PORT or unix:///PATH; credentials go into CONSUL_HTTP_AUTH',
  });
}

/** Only one token counts: that of the config, if there is any; of a token and a file, the file, which can be renewed. */
function tokenOf(settings: ConsulSettings, env: NodeJS.ProcessEnv): Pick<Connection, 'token' | 'tokenFile'> {
  const own = settings.token !== undefined || settings.tokenFile !== undefined;
  const tokenFile = own ? settings.tokenFile : set(env.CONSUL_HTTP_TOKEN_FILE);
  if (tokenFile !== undefined) return { tokenFile };
  const token = set(own ? settings.token : env.CONSUL_HTTP_TOKEN);
  return token === undefined ? {} : { token };
}

function tlsOf({ tls }: ConsulSettings, env: NodeJS.ProcessEnv): TlsFiles {
  const caFile = tls.caFile ?? set(env.CONSUL_CACERT);
  const caPath = tls.caFile === undefined ? set(env.CONSUL_CAPATH) : undefined;
  const certFile = tls.certFile ?? set(env.CONSUL_CLIENT_CERT);
  const keyFile = tls.keyFile ?? set(env.CONSUL_CLIENT_KEY);
  const serverName = tls.serverName ?? set(env.CONSUL_TLS_SERVER_NAME);
  return {
    verify: tls.verify ?? isTrue('CONSUL_HTTP_SSL_VERIFY', env) ?? true,
    ...(caFile === undefined ? {} : { caFile }),
    ...(caPath === undefined ? {} : { caPath }),
    ...(certFile === undefined ? {} : { certFile }),
    ...(keyFile === undefined ? {} : { keyFile }),
    ...(serverName === undefined ? {} : { serverName }),
  };
}

/** An empty variable counts as unset. */
function set(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

/** The spellings that Go's ParseBool, and so the consul CLI, accepts. */
function isTrue(name: string, env: NodeJS.ProcessEnv): boolean | undefined {
  const value = set(env[name]);
  if (value === undefined) return undefined;
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new AppError('MYELIN_SOURCE_FAILED', `${name}=${JSON.stringify(value)} is neither true nor false`);
}

async function readAuthorities({ caFile, caPath }: TlsFiles): Promise<Buffer[]> {
  if (caFile !== undefined) return [await readPem('CA certificate', caFile)];
  if (caPath === undefined) return [];
  const names = await readdir(caPath).catch((cause: unknown) => {
    throw new AppError('MYELIN_SOURCE_FAILED', `cannot read CONSUL_CAPATH ${caPath}`, { cause });
  });
  const paths = names.sort().map((name) => join(caPath, name));
  // The system's folder of certificates has subfolders, of Java for example.
  const isFolder = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        (one) => one.isDirectory(),
        () => false,
      ),
    ),
  );
  return Promise.all(paths.filter((_, at) => !isFolder[at]).map((path) => readPem('CA certificate', path)));
}

async function readOptional(what: string, path: string | undefined): Promise<Buffer | undefined> {
  return path === undefined ? undefined : readPem(what, path);
}

async function readPem(what: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new AppError('MYELIN_SOURCE_FAILED', `cannot read the ${what} ${path}`, { cause });
  }
}
