/** Whether the ports of gateway and admin are free, or held by the instance itself. */
import { createServer } from 'node:net';
import type { DoctorInputs, Finding } from './checks.ts';

export async function checkPorts({ facts, instance }: DoctorInputs): Promise<Finding> {
  if (instance) return { level: 'ok', finding: `held by the running instance (process ${instance.pid})` };
  const { gatewayPort, adminPort } = facts();
  const ports = [gatewayPort, adminPort];
  const free = await Promise.all(ports.map(isFree));
  const taken = ports.filter((_port, index) => !free[index]);
  if (taken.length === 0) return { level: 'ok', finding: `${ports.join(' and ')} are free` };
  const hint = 'Stop the other program, or choose another port with --gateway-port or --admin-port.';
  return { level: 'fail', finding: `taken by another program: ${taken.join(', ')}`, hint };
}

/** Tried on loopback, where the embedded profile listens. */
function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
