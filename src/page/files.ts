/** The files that a browser gets, made of the sources on demand; the published package has them as they were made at its build. */
import { bundlePage } from './bundle.ts';

export const files = await bundlePage();
