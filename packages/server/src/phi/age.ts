/** Whose year of birth is not stored: dates so long ago that the year alone would tell an age over the limit. */
import type { Catalogue } from './catalogue.ts';
import type { SealSite } from './types.ts';

/** Whether a value of which the year would stay keeps not even that (45 CFR 164.514(b)(2)(i)(C)). */
export function hidesYear(
  { treatment, value }: Pick<SealSite, 'treatment' | 'value'>,
  now: Date,
  { hideYearAboveAge }: Catalogue,
): boolean {
  if (treatment !== 'year' || hideYearAboveAge === undefined) return false;
  return typeof value !== 'string' || isLongerAgo(value, hideYearAboveAge, now);
}

/** `2010`, `2010-05`, `2010-05-17` and what follows of a dateTime. */
const DATE = /^(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?/;

/**
 * Whether more than so many full years may have passed since a date: what is not known of it counts as early. On the day of a person's
 * 90th birthday they are over 89. Text that is no date counts as longest ago.
 */
function isLongerAgo(date: string, years: number, now: Date): boolean {
  const [, year, month = '01', day = '01'] = DATE.exec(date) ?? [];
  if (year === undefined) return true;
  const passed = now.getUTCFullYear() - Number(year);
  const today = now.toISOString().slice('0000-'.length, '0000-00-00'.length);
  return passed - (today < `${month}-${day}` ? 1 : 0) > years;
}
