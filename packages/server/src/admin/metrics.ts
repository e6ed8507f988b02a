/** Our own measurements in Prometheus text format: no label holds a value of a request. */
import { monitorEventLoopDelay } from 'node:perf_hooks';

export interface Metrics {
  /** `route` is a name of the route table. */
  countRequest(route: string, status: number): void;
  text(): string;
  stop(): void;
}

type MetricType = 'gauge' | 'counter';
type Sample = readonly [labels: string, value: number];

const NANOSECONDS_PER_SECOND = 1e9;
const EVENT_LOOP_RESOLUTION_MS = 20;

export function createMetrics(): Metrics {
  const requests = new Map<string, number>();
  const eventLoop = monitorEventLoopDelay({ resolution: EVENT_LOOP_RESOLUTION_MS });
  eventLoop.enable();

  const family = (name: string, type: MetricType, help: string, samples: readonly Sample[]) =>
    [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...samples.map(([labels, value]) => `${name}${labels} ${value}`),
    ].join('\n');

  const text = () => {
    const memory = process.memoryUsage();
    const lagSeconds = (percentile: number) => eventLoop.percentile(percentile) / NANOSECONDS_PER_SECOND;
    const families = [
      family('process_resident_memory_bytes', 'gauge', 'Resident memory.', [['', memory.rss]]),
      family('nodejs_heap_used_bytes', 'gauge', 'JavaScript heap in use.', [['', memory.heapUsed]]),
      family('process_uptime_seconds', 'gauge', 'Time since the process started.', [['', process.uptime()]]),
      family('nodejs_eventloop_lag_seconds', 'gauge', 'Delay of the event loop since start.', [
        ['{quantile="0.5"}', lagSeconds(50)],
        ['{quantile="0.99"}', lagSeconds(99)],
      ]),
      family('keyward_admin_requests_total', 'counter', 'Requests answered, by route and status.', [...requests]),
    ];
    return `${families.join('\n')}\n`;
  };

  return {
    countRequest(route, status) {
      const labels = `{route="${route}",status="${status}"}`;
      requests.set(labels, (requests.get(labels) ?? 0) + 1);
    },
    text,
    stop: () => void eventLoop.disable(),
  };
}
