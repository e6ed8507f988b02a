/** Whether the ports of gateway and admin are free, or held by the instance itself. */
import { createServer } from 'node:net';
import { ERRORS } from '../../core/index.ts';
import type { DoctorInputs, Finding } from './checks.ts';

export async function checkPorts({ facts, instance }: DoctorInputs): Promise<Finding> {
  if (instance) {
    const held = [instance.gatewayUrl, instance.adminUrl].map(portOf).join(' and ');
    return { level: 'ok', finding: `${held} are held by the running instance (process ${instance.pid})` };
  }
  const { gatewayPort, adminPort } = facts();
  const ports = [gatewayPort, adminPort];
  const free = await Promise.all(ports.map(isFree));
  const taken = ports.filter((_port, index) => !free[index]);
  if (taken.length === 0) return { level: 'ok', finding: `${ports.join(' and ')} are free` };
  const finding = `taken by another program: ${taken.join(', ')}`;
  return { level: 'fail', finding, hint: ERRORS.UP_PORT_TAKEN.hint };
}

/** A URL leaves out the port its scheme implies. */
const portOf = (httpsUrl: string): string => new URL(httpsUrl).port || '443';

/** Tried on loopback, where the embedded profile listens. */
function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
