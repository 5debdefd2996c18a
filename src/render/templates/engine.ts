/** The only importer of Handlebars. It uses its own strict instance, and compiles every template at load. */
// The minified build is one file: the usual import loads many, with a source map library, and takes 1 to 3 MB more.
import Handlebars from 'handlebars/dist/handlebars.min.js';
import { type Helper, helpers as ofHaproxy } from './helpers.ts';
import { precompiled } from './precompiled.ts';
import { fromThrown, type TemplateSource, templateError } from './template-error.ts';

/** Renders the template of that name. Throws an AppError that names file, line and column. */
export type Engine = (name: string, context: object) => string;

type Helpers = Readonly<Record<string, Helper>>;

const optionsFor = (helpers: Helpers): CompileOptions =>
  ({
    strict: true,
    // Values encode themselves (value.ts); HTML escapes would damage them.
    noEscape: true,
    knownHelpersOnly: true,
    // `log` would write to the console.
    knownHelpers: { ...Object.fromEntries(Object.keys(helpers).map((name) => [name, true])), log: false },
    preventIndent: true,
  }) as CompileOptions;

// Handlebars writes to the console which properties it denies a template, but Myelin's output is its log.
Handlebars.logger.level = Number.POSITIVE_INFINITY;

export function createEngine(sources: ReadonlyMap<string, TemplateSource>, helpers: Helpers = ofHaproxy): Engine {
  const handlebars = Handlebars.create();
  for (const [name, helper] of Object.entries(helpers)) handlebars.registerHelper(name, located(name, helper));
  const partialsOf = (name: string): readonly string[] => [...sources.keys()].filter((other) => other !== name);
  const templates = new Map(
    [...sources].map(([name, source]) => [name, compile(handlebars, source, helpers, partialsOf(name))]),
  );
  // A partial's own errors are caught where its file name is known.
  for (const [name, template] of templates) handlebars.registerPartial(name, template);
  return (name, context) => {
    const template = templates.get(name);
    if (template === undefined) throw new Error(`no template ${name}`);
    return template(context);
  };
}

/** The code of one of HAProxy's templates, an expression. */
export function precompile(text: string): string {
  return codeOf(Handlebars.parse(text), ofHaproxy);
}

function codeOf(program: hbs.AST.Program, helpers: Helpers): string {
  return String(Handlebars.precompile(program, optionsFor(helpers)));
}

function compile(
  handlebars: typeof Handlebars,
  source: TemplateSource,
  helpers: Helpers,
  partials: readonly string[],
): Handlebars.TemplateDelegate<object> {
  const knownHelpers = [...Object.keys(helpers), 'each', 'if', 'lookup', 'unless', 'with'];
  const guard = <T>(context: object, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw fromThrown(source, error, { helpers: knownHelpers, fields: Object.keys(context) });
    }
  };
  const built = helpers === ofHaproxy ? precompiled.get(source.text) : undefined;
  // Handlebars's own `compile` is lazy: errors of a template would show only at the first render.
  const specification =
    built ??
    guard({}, () => {
      const program = Handlebars.parse(source.text);
      refuseUnknownPartials(program, source, partials);
      return new Function(`return ${codeOf(program, helpers)}`)() as TemplateSpecification;
    });
  const template = handlebars.template<object>(specification);
  return (context, runtime) => guard(context, () => template(context, runtime));
}

/** Adds the place of the call to an error of a helper, because Handlebars does not. */
function located(name: string, { call, takes, usage }: Helper): Handlebars.HelperDelegate {
  return (...given: unknown[]) => {
    const { loc } = given.pop() as { readonly loc: hbs.AST.SourceLocation };
    try {
      if (takes !== undefined && given.length !== takes)
        throw new Error(`takes ${takes} argument${takes === 1 ? '' : 's'}, not ${given.length}: ${usage}`);
      return call(...given);
    } catch (error) {
      throw new Handlebars.Exception(`${name}: ${error instanceof Error ? error.message : String(error)}`, {
        type: 'MustacheStatement',
        loc,
      });
    }
  };
}

function refuseUnknownPartials(program: hbs.AST.Program, source: TemplateSource, known: readonly string[]): void {
  class Partials extends Handlebars.Visitor {
    override PartialStatement(partial: hbs.AST.PartialStatement): void {
      this.#check(partial);
      super.PartialStatement(partial);
    }

    override PartialBlockStatement(partial: hbs.AST.PartialBlockStatement): void {
      this.#check(partial);
      super.PartialBlockStatement(partial);
    }

    #check({ name: called, loc }: hbs.AST.PartialStatement | hbs.AST.PartialBlockStatement): void {
      const wanted = 'original' in called ? String(called.original) : '';
      if (known.includes(wanted)) return;
      const { line, column } = loc.start;
      throw templateError(source, `there is no template "${wanted}" to include; there are ${known.join(', ')}`, {
        line,
        column: column + 1,
      });
    }
  }
  new Partials().accept(program);
}
