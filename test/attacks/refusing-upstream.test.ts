/** What the FHIR server behind the gateway refuses for good is told as what it is: no outage, and none of its words. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { refusalOf } from '../support/attacker.ts';
import { PATIENT } from '../support/canaries.ts';
import { type Call, type Product, startProduct } from '../support/product.ts';
import { RecordingUpstream } from '../support/recording-upstream.ts';

/** All that the upstream says. */
const HOSTILE = 'HOSTILE';

let upstream: RecordingUpstream;
let product: Product;
before(async () => {
  upstream = await RecordingUpstream.start();
  product = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: upstream.url } });
});
after(() => upstream.close());

const TOLD_AS: readonly (readonly [status: number, refusal: string])[] = [
  [401, '502 GATEWAY_UPSTREAM_DENIED'],
  [403, '502 GATEWAY_UPSTREAM_DENIED'],
  [405, '501 GATEWAY_UPSTREAM_UNSUPPORTED'],
  [413, '413 GATEWAY_UPSTREAM_TOO_LARGE'],
  [501, '501 GATEWAY_UPSTREAM_UNSUPPORTED'],
];
for (const [status, refusal] of TOLD_AS) {
  test(`[A3] ${status} of the upstream is told as what it is, and nobody is asked to repeat the request`, async () => {
    const calls: readonly Call[] = [
      { path: '/Patient/x' },
      { path: '/Patient' },
      { path: '/Patient', json: PATIENT },
      { path: '/Patient/x', method: 'PUT', json: { ...PATIENT, id: 'x' } },
    ];
    upstream.lie = () => ({ status, body: HOSTILE });
    for (const call of calls) {
      const answer = await product.fhir({ role: 'clinician', ...call });
      assert.equal(refusalOf(answer), refusal, call.path);
      assert.deepEqual([JSON.stringify(answer).includes(HOSTILE), answer.headers['retry-after']], [false, undefined]);
    }
  });
}
