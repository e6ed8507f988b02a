/** A picture of a few curves over a logarithmic axis, as SVG without scripts. */

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 640;
const HEIGHT = 320;
const MARGIN = { left: 56, right: 16, top: 40, bottom: 44 };
const COLOURS = ['#7a7a7a', '#0b6e4f'] as const;
const UNITS = ['B', 'KB', 'MB'] as const;

const short = (bytes: number): string => {
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1);
  return `${Math.round(bytes / 1000 ** power)} ${UNITS[power]}`;
};

/** @param lines x is a size in bytes, y from 0 on */
export function curve(title: string, lines: readonly Line[]): string {
  const xs = lines.flatMap(({ points }) => points.map(([x]) => Math.log10(x)));
  const top = Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y))) * 1.1;
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const atX = (x: number) => MARGIN.left + ((Math.log10(x) - least) / (most - least)) * inner.width;
  const atY = (y: number) => MARGIN.top + inner.height - (y / top) * inner.height;
  const drawn = lines.map(({ name, points }, index) => {
    const path = points.map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(' ');
    const dots = points.map(
      ([x, y]) => `<circle cx="${atX(x).toFixed(1)}" cy="${atY(y).toFixed(1)}" r="3" fill="${COLOURS[index]}"/>`,
    );
    const label = `<text x="${MARGIN.left + 12}" y="${MARGIN.top + 16 + index * 18}" fill="${COLOURS[index]}">${name}</text>`;
    return `<polyline fill="none" stroke="${COLOURS[index]}" stroke-width="2" points="${path}"/>${dots.join('')}${label}`;
  });
  const xTicks = (lines[0]?.points ?? []).map(
    ([x]) => `<text x="${atX(x).toFixed(1)}" y="${HEIGHT - 22}" text-anchor="middle">${short(x)}</text>`,
  );
  const yTicks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = atY(share * top).toFixed(1);
    return `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${y}" y2="${y}" stroke="#ddd"/><text x="${MARGIN.left - 8}" y="${y}" text-anchor="end" dominant-baseline="middle">${(share * top).toFixed(1)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${MARGIN.left}" y="24" font-size="14">${title}</text>
${[...yTicks, ...xTicks, ...drawn].join('\n')}
</svg>
`;
}
