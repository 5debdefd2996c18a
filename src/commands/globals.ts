/** Options that every command has. */
export type Globals = {
  readonly config: string;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly logFormat: 'json' | 'pretty';
  readonly json: boolean;
};
