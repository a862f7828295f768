import { Composer, Lexer, Parser } from 'yaml';
import type { CST, Document, LineCounter } from 'yaml';

/** How deep collections may be nested in each other. */
export const MAX_YAML_DEPTH = 100;

export type YamlDocuments = { readonly documents: readonly Document.Parsed[] } | { readonly tooDeepAt: number };

export interface YamlOptions {
  readonly lines?: LineCounter;
  /** `failsafe` takes every scalar for the text that stands there. */
  readonly schema?: 'core' | 'failsafe';
  /** A text of more counts as nested too deeply. What a text takes of the processor is in their number. */
  readonly maxTokens?: number;
}

/**
 * The YAML 1.2 documents of a text (no merge keys), or the offset at which it is nested too deeply. The composer of yaml
 * recurses, and what exhausts the stack there can end the process past any handler: so the depth is bounded before
 * anything is composed. Duplicate keys are left in: whoever cares finds them with their key path, and yaml itself would
 * compare each key with all before it.
 */
export function readYamlDocuments(
  text: string,
  { lines, schema = 'core', maxTokens = Infinity }: YamlOptions = {},
): YamlDocuments {
  const composer = new Composer({
    version: '1.2',
    schema,
    merge: false,
    uniqueKeys: false,
    resolveKnownTags: false,
    logLevel: 'silent',
  });
  const end: End = {};
  const documents = [...composer.compose(tokensOf(text, lines, maxTokens, end), true, text.length)];
  return end.tooDeepAt === undefined ? { documents } : { tooDeepAt: end.tooDeepAt };
}

interface End {
  tooDeepAt?: number;
}

function* tokensOf(text: string, lines: LineCounter | undefined, maxTokens: number, end: End): Generator<CST.Token> {
  const parser = new Parser(lines?.addNewLine);
  lines?.addNewLine(0);
  let left = maxTokens;
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    left -= 1;
    // Beside the open collections there are at most the document and a scalar.
    if (parser.stack.length > MAX_YAML_DEPTH + 2 || left < 0) {
      end.tooDeepAt = parser.offset;
      return;
    }
  }
  yield* parser.end();
}
