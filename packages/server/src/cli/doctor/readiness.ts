/** Whether the running instance answers, and that all its parts are ready. */
import { createHttpClient } from '../http.ts';
import { isSuccess } from '../refusal.ts';
import type { DoctorInputs, Finding } from './checks.ts';

export async function checkReadiness({ paths, instance }: DoctorInputs): Promise<Finding> {
  if (!instance) return { level: 'ok', finding: 'not running' };
  const http = createHttpClient(paths);
  try {
    const origins = [instance.gatewayUrl, instance.adminUrl].map((url) => new URL(url).origin);
    const answers = await Promise.all(origins.map((origin) => http.send(`${origin}/readyz`)));
    const unready = origins.filter((_origin, index) => !isSuccess(answers[index]?.status ?? 0));
    if (unready.length === 0) return { level: 'ok', finding: `ready at ${origins.join(' and ')}` };
    return { level: 'fail', finding: `not ready: ${unready.join(', ')}`, hint: `Read the logs in ${paths.logs}.` };
  } finally {
    await http.close();
  }
}
