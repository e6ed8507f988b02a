/** Between steps 13 and 14: of what was opened, what the search really asked for, in the shape it asked for. */
import { type Exchange, type Finding, known } from '../exchange.ts';
import { matchesFilters, type PostFilter } from '../search/filters.ts';
import { includedFrom } from '../search/includes.ts';
import { shaped } from '../search/shape.ts';

export function present(exchange: Exchange): void {
  const { findings, search, shape, gateway } = exchange;
  const filters = search?.filters ?? [];
  const matches = findings.filter(({ included }) => !included);
  const shown = matches.filter(
    (finding) =>
      mayAnswer(finding, filters) &&
      matchesFilters(known(finding.opened, 'opened resource'), filters, gateway.catalogue),
  );
  const candidates = findings.filter(({ included }) => included);
  exchange.findings = [...shown, ...includedFrom(shown, candidates, search?.includes ?? [])].map((finding) => ({
    ...finding,
    opened: shaped(known(finding.opened, 'opened resource'), shape, !finding.included),
  }));
}

/** What is not opened to the caller would tell by being found, or by not being found, what it holds. */
const mayAnswer = ({ decision, own }: Finding, filters: readonly PostFilter[]): boolean =>
  filters.length === 0 || decision.patient === undefined || own === true;
