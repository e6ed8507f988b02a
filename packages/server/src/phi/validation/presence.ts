/** Rules that only ask which members of one object are there, in the part of FHIRPath that R4 writes them in; compiled to bit masks. */

/** Whether the rule holds for an object that has the members of this mask. */
export type PresenceRule = (present: number) => boolean;

const TOKEN = /\s*(\(|\)|!=|=|and\b|or\b|xor\b|implies\b|\.not\(\)|([a-z]\w*)\.(exists|empty)\(\))/y;

/** Weakest first (http://hl7.org/fhirpath/N1/#operator-precedence). */
const OPERATORS: readonly Readonly<Record<string, (left: boolean, right: boolean) => boolean>>[] = [
  { implies: (left, right) => !left || right },
  { or: (left, right) => left || right, xor: (left, right) => left !== right },
  { and: (left, right) => left && right },
  { '=': (left, right) => left === right, '!=': (left, right) => left !== right },
];

/**
 * @param bitOf the bit of a member by its name
 * @throws Error when the expression is more than that
 */
export function compilePresence(expression: string, bitOf: (member: string) => number): PresenceRule {
  const tokens = tokensOf(expression);
  const next = { at: 0 };
  const rule = parseLevel(tokens, next, bitOf, 0);
  if (next.at !== tokens.length) throw unreadable(expression);
  return rule;
}

interface Token {
  readonly text: string;
  readonly member: string | undefined;
  readonly empty: boolean;
}

function tokensOf(expression: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (let end = 0; end < expression.trimEnd().length; end = TOKEN.lastIndex) {
    const [, text = '', member, test] = TOKEN.exec(expression) ?? [];
    if (text === '') throw unreadable(expression);
    tokens.push({ text, member, empty: test === 'empty' });
  }
  return tokens;
}

interface Next {
  at: number;
}

function parseLevel(
  tokens: readonly Token[],
  next: Next,
  bitOf: (member: string) => number,
  level: number,
): PresenceRule {
  const operators = OPERATORS[level];
  if (!operators) return parseTerm(tokens, next, bitOf);
  let left = parseLevel(tokens, next, bitOf, level + 1);
  for (;;) {
    const operator = operators[tokens[next.at]?.text ?? ''];
    if (!operator) return left;
    next.at++;
    const [before, right] = [left, parseLevel(tokens, next, bitOf, level + 1)];
    left = (present) => operator(before(present), right(present));
  }
}

function parseTerm(tokens: readonly Token[], next: Next, bitOf: (member: string) => number): PresenceRule {
  const token = tokens[next.at++];
  let term: PresenceRule;
  if (token?.text === '(') {
    term = parseLevel(tokens, next, bitOf, 0);
    if (tokens[next.at++]?.text !== ')') throw unreadable('a parenthesis is not closed');
  } else if (token?.member !== undefined) {
    const bit = bitOf(token.member);
    term = token.empty ? (present) => (present & bit) === 0 : (present) => (present & bit) !== 0;
  } else throw unreadable(token?.text ?? 'the end');
  if (tokens[next.at]?.text !== '.not()') return term;
  next.at++;
  return (present) => !term(present);
}

const unreadable = (what: string) => new Error(`not a rule on presence: ${what}`);
