/**
 * The options of a `server` line: how many words each takes, and since which version `add server` takes it. From the
 * tables in HAProxy's sources of 2.4 to 3.5-dev (`srv_kws`: `dynamic_ok`), tried on 2.6, 3.0 and 3.2.
 */

type Since = readonly [major: number, minor: number];

export type ServerKeyword = {
  /** Words that follow it. */
  readonly args: 0 | 1;
  /** The first version whose `add server` takes it; null: none does, or not so that it would mean what it means in the file. */
  readonly dynamicSince: Since | null;
};

const table: readonly (readonly [since: Since | null, args: 0 | 1, words: string])[] = [
  [[2, 4], 0, 'backup no-backup no-send-proxy no-send-proxy-v2 no-tfo send-proxy send-proxy-v2 tfo'],
  [[2, 4], 1, 'id maxconn maxqueue minconn pool-low-conn pool-max-conn pool-purge-delay proxy-v2-options weight'],
  // The words that may follow the address of `source` look like separate options.
  [[2, 4], 1, 'source usesrc interface'],
  [[2, 5], 0, 'agent-check allow-0rtt check check-send-proxy check-ssl check-via-socks4 force-sslv3 force-tlsv10'],
  [[2, 5], 0, 'force-tlsv11 force-tlsv12 force-tlsv13 no-ssl-reuse no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11'],
  [[2, 5], 0, 'no-tlsv12 no-tlsv13 send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl tls-tickets'],
  [
    [2, 5],
    1,
    'addr agent-addr agent-inter agent-port agent-send alpn ca-file check-alpn check-proto check-sni ciphers',
  ],
  [[2, 5], 1, 'ciphersuites crl-file crt downinter error-limit fall fastinter inter npn observe on-error'],
  [[2, 5], 1, 'on-marked-down on-marked-up port rise slowstart sni ssl-max-ver ssl-min-ver verify verifyhost ws'],
  [[2, 7], 1, 'shard'],
  [[2, 9], 1, 'client-sigalgs curves sigalgs'],
  // Taken since 2.4, and of no effect (2.9-dev9).
  [[3, 0], 1, 'proto'],
  [[3, 0], 1, 'cookie guid hash-key pool-conn-name'],
  [[3, 1], 1, 'init-state'],
  [[3, 2], 0, 'check-reuse-pool strict-maxconn'],
  [[3, 2], 1, 'check-pool-conn-name idle-ping'],
  [[3, 3], 0, 'no-renegotiate renegotiate'],
  [[3, 3], 1, 'ktls'],
  [[3, 4], 0, 'no-check-sni-auto no-sni-auto'],
  [[3, 4], 1, 'healthcheck'],
  // A tracked server cannot be deleted any more, and `disabled` would mean nothing once the server is made ready.
  [null, 1, 'track'],
  [null, 0, 'disabled enabled'],
  [null, 0, 'check-sni-auto no-agent-check no-check no-check-reuse-pool no-check-send-proxy no-check-ssl'],
  [null, 0, 'no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn no-ssl non-stick sni-auto ssl-reuse stick'],
  [null, 1, 'cc init-addr log-bufsize log-proto max-reuse namespace redir resolve-net resolve-opts resolve-prefer'],
  [null, 1, 'resolvers socks4 tcp-md5sig tcp-ut'],
];

export const serverKeywords: ReadonlyMap<string, ServerKeyword> = new Map(
  table.flatMap(([dynamicSince, args, words]) =>
    words.split(' ').map((word): [string, ServerKeyword] => [word, { args, dynamicSince }]),
  ),
);
