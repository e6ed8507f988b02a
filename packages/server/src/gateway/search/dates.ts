/** Searches by a date of which the upstream knows the year only: it is asked for years, and the day is checked afterwards. */
import type { PostFilter } from './filters.ts';
import { invalidParameter, unsupportedParameter } from './values.ts';

const DATE = /^(eq|ge|gt|le|lt)?(\d{4})(-\d{2}(?:-\d{2})?)?$/;

type Prefix = 'eq' | 'ge' | 'gt' | 'le' | 'lt';

/** A date searched for, or one found: the first and the last day it can mean. Compared as texts, so a month may end on its 31st day. */
interface Days {
  readonly first: string;
  readonly last: string;
}

const daysOf = (date: string): Days => {
  const [year = '', month, day] = date.slice(0, 10).split('-');
  return { first: [year, month ?? '01', day ?? '01'].join('-'), last: [year, month ?? '12', day ?? '31'].join('-') };
};

/** FHIR R4 §3.1.1.4.7, of the range of the value found and that of the date asked for. */
const COMPARISONS: Readonly<Record<Prefix, (found: Days, asked: Days) => boolean>> = {
  eq: (found, asked) => asked.first <= found.first && found.last <= asked.last,
  ge: (found, asked) => found.last > asked.last || COMPARISONS.eq(found, asked),
  gt: (found, asked) => found.last > asked.last,
  le: (found, asked) => found.first < asked.first || COMPARISONS.eq(found, asked),
  lt: (found, asked) => found.first < asked.first,
};

/** Whether a value is as a parameter asks (`ge1980-05`). */
export function isWithin(value: string, asked: string): boolean {
  const [, prefix = 'eq', year = '', rest = ''] = DATE.exec(asked) ?? [];
  return COMPARISONS[prefix as Prefix](daysOf(value), daysOf(year + rest));
}

export interface YearQuestion {
  /** Alternatives as the upstream gets them. */
  readonly years: string;
  readonly filter: PostFilter;
}

/** `Date` counts on beyond the last day of a month, and makes `null` of a month beyond the twelfth. */
const isInCalendar = (date: string): boolean => JSON.stringify(new Date(date)).startsWith(`"${date}`);

/** @throws KeywardError `FHIR_PARAM_UNSUPPORTED` | `FHIR_PARAM_INVALID` */
export function askForYears(code: string, alternatives: readonly string[], linked: boolean): YearQuestion {
  const dates = alternatives.map((alternative) => {
    const [, prefix = 'eq', year, rest] = DATE.exec(alternative) ?? [];
    if (year === undefined)
      throw unsupportedParameter(`Parameter ${code} takes dates or years, with eq, ge, gt, le or lt before them.`);
    if (!isInCalendar(year + (rest ?? '')))
      throw invalidParameter(`Parameter ${code} has a date that is in no calendar.`);
    // What a link leads to does not come back, so its day could not be checked.
    if (linked && rest !== undefined) throw unsupportedParameter(`Parameter ${code} at the end of a link takes years.`);
    return { prefix, year, rest };
  });
  const years = dates.map(({ prefix, year, rest }) => upstreamPrefix(prefix, rest) + year);
  const isExact = dates.every(({ rest }) => rest === undefined);
  return {
    years: [...new Set(years)].join(','),
    filter: { code, test: 'date', any: alternatives, ...(isExact ? {} : { narrows: true }) },
  };
}

/** After a day in May of a year is in that year or after it. */
function upstreamPrefix(prefix: string, rest: string | undefined): string {
  if (prefix === 'eq') return '';
  return rest === undefined ? prefix : prefix.replace('t', 'e');
}
