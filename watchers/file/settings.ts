/** The settings of a file watcher, and of a query to it. */
import { z } from 'zod';
import { filePath, text } from '../kit/values.ts';

export const fileSettings = z
  .strictObject({
    path: filePath.describe('A YAML or JSON file, or a folder of them.'),
  })
  .describe('Services and endpoints from a file.');

export const fileQuery = z
  .strictObject({
    service: text.optional().describe('Name in the file. Default: the name of the service here.'),
  })
  .describe('One service of a file watcher.');

/** Nothing is chosen: services that have `options` in the file are discovered. */
export const fileDiscovery = z.strictObject({});

export type FileDiscovery = { readonly isForAll: true };

export type FileSettings = z.output<typeof fileSettings>;
export type FileQuery = z.output<typeof fileQuery>;
