import type { LogFormat, LogLevel } from '../model.ts';

/** Options that every command has. */
export type Globals = {
  readonly config: string;
  /** In the place of what the config says. */
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
  readonly json: boolean;
};
