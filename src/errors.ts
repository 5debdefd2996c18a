/** Every error that Myelin throws on purpose carries one of these codes; the exit code follows from it. */

export const exitCodes = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  configInvalid: 3,
  templateInvalid: 4,
  configRejected: 5,
  sourceTimeout: 6,
  haproxyUnavailable: 7,
  notRunning: 8,
  changesPending: 10,
  notWell: 11,
} as const;

/** Codes are never reused; docs/reference/errors.md says what each means. */
export const errorCodes = {
  MYELIN_USAGE: exitCodes.usage,
  MYELIN_CONFIG_INVALID: exitCodes.configInvalid,
  MYELIN_TEMPLATE_INVALID: exitCodes.templateInvalid,
  MYELIN_CONFIG_REJECTED: exitCodes.configRejected,
  MYELIN_OUTPUT_FAILED: exitCodes.configRejected,
  MYELIN_SOURCE_FAILED: exitCodes.sourceTimeout,
  MYELIN_SOURCE_TIMEOUT: exitCodes.sourceTimeout,
  MYELIN_HAPROXY_UNAVAILABLE: exitCodes.haproxyUnavailable,
  MYELIN_HAPROXY_FAILED: exitCodes.haproxyUnavailable,
  MYELIN_PORT_TAKEN: exitCodes.haproxyUnavailable,
  MYELIN_SOCKET_FAILED: exitCodes.haproxyUnavailable,
  MYELIN_WRITE_FAILED: exitCodes.unexpected,
  MYELIN_LOCKED: exitCodes.unexpected,
  MYELIN_LISTEN_FAILED: exitCodes.unexpected,
  MYELIN_NOT_RUNNING: exitCodes.notRunning,
} as const;

export type ErrorCode = keyof typeof errorCodes;

/**
 * `message` names the place and the cause; `remedy`, where there is one, says what to do about it; `retryAfterMs`, where
 * a server asked for it, how long to leave it alone.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly remedy: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; remedy?: string; retryAfterMs?: number } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
    this.retryAfterMs = options.retryAfterMs;
  }

  get exitCode(): number {
    return errorCodes[this.code];
  }
}

/** Where the documentation says what a code means. */
export function docsOf(code: ErrorCode | 'MYELIN_UNEXPECTED'): string {
  return `docs/reference/errors.md#${code.toLowerCase()}`;
}

/** One line for people: an error's message with its causes, each told once, whatever was thrown. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const message = error.message || error.name;
  if (error.cause === undefined) return message;
  const cause = describe(error.cause);
  return message.endsWith(cause) ? message : `${message}: ${cause}`;
}

/** Whether `error` carries Node's system error `code`, such as `ENOENT`. */
export function hasCode(error: unknown, ...wanted: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && wanted.includes(error.code);
}
