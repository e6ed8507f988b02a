/** JSON.parse source text access (ECMA-262 proposal, in V8 since 11.4), which TypeScript's library does not declare yet. */
interface JSON {
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
  parse(
    text: string,
    reviver: (this: unknown, name: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
}
