/** FHIR dates as half-open intervals: a date of any precision is every instant from its start up to, not including, its end. */

/** ISO 8601 in UTC: `Date` objects would pass through the driver's local time zone. */
export interface Interval {
  readonly start: string;
  readonly end: string;
}

/** The first and last instant of the years FHIR can write; what a time zone pushes beyond is pulled back. */
export const BEGINNING = '0001-01-01T00:00:00.000Z';
export const FOREVER = '9999-12-31T23:59:59.999Z';

const PATTERN = /^(?!0000)(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

/** Undefined for what is no date. Without a zone it is UTC (the server may choose, R4 §3.1.1.4.7). */
export function dateInterval(text: string): Interval | undefined {
  const match = PATTERN.exec(text);
  if (!match) return undefined;
  const [, year = '', month, day, hour, minute, second, fraction, zone = 'Z'] = match;
  const time = `${hour ?? '00'}:${minute ?? '00'}:${second ?? '00'}${fraction ? fraction.slice(0, 4) : ''}`;
  const start = new Date(`${year}-${month ?? '01'}-${day ?? '01'}T${time}${zone}`);
  if (Number.isNaN(start.getTime()) || !isCalendarDay(year, month, day)) return undefined;
  return { start: within(start), end: within(endOf(start, { month, day, hour, second, fraction })) };
}

function within(instant: Date): string {
  const [first, last] = [Date.parse(BEGINNING), Date.parse(FOREVER)];
  return new Date(Math.min(Math.max(instant.getTime(), first), last)).toISOString();
}

/** `new Date` turns 30 February into 1 March. */
const isCalendarDay = (year: string, month = '01', day = '01'): boolean =>
  new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const SECOND_MS = 1000;

type Parts = Readonly<Record<'month' | 'day' | 'hour' | 'second' | 'fraction', string | undefined>>;

function endOf(start: Date, given: Parts): Date {
  if (given.fraction) return new Date(start.getTime() + 1);
  if (given.second) return new Date(start.getTime() + SECOND_MS);
  if (given.hour) return new Date(start.getTime() + MINUTE_MS);
  if (given.day) return new Date(start.getTime() + DAY_MS);
  const end = new Date(start);
  if (given.month) end.setUTCMonth(end.getUTCMonth() + 1);
  else end.setUTCFullYear(end.getUTCFullYear() + 1);
  return end;
}
