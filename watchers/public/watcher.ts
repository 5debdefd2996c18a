/** `myelin/watcher`: what a watcher of your own is made with. docs/watchers/writing-a-watcher.md shows one. */
export { z } from 'zod';
export { AppError } from '../../src/errors.ts';
export { backoffMs, pause } from '../../src/lib/time/retry.ts';
export type {
  DiscoveredService,
  Endpoint,
  Query,
  SourceAnswer,
  SourceInstance,
  Unfit,
  Unreadable,
  Update,
  Watch,
} from '../../src/model.ts';
export { defineSource, type Source } from '../kit/source.ts';
export { duration, filePath, oneOrMany, port, portOrName, someTime, text, word } from '../kit/values.ts';
export { type Watching, watching, withSynced } from '../kit/watching.ts';
