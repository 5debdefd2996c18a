/** The built-in templates, compiled when the package is built (`test/tools/bundle.ts`): to do it takes a fifth of a start. */

/** By the text of the template. None where Myelin runs from its sources. */
export const precompiled: ReadonlyMap<string, TemplateSpecification> = new Map();
