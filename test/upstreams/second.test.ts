/** The journey over a second server that we did not write: Medplum's router. */
import { after, before, describe, test } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
import { assertNothingHidden, type ForeignServer, hiddenTextsIn } from './foreign-server.ts';
import { journey } from './journey.ts';
import { startMedplum } from './second/medplum.ts';

describe("behind the gateway stands Medplum's FHIR router", () => {
  let server: ForeignServer;
  let product: Product;
  let alreadyThere: ReadonlySet<string>;
  before(async () => {
    server = await startMedplum();
    alreadyThere = await hiddenTextsIn(server);
    product = await startProduct({
      env: { KEYWARD_GATEWAY_UPSTREAM_URL: server.url, KEYWARD_GATEWAY_UPSTREAM_TIMEOUT_MS: '10000' },
    });
  });
  after(() => server.stop());

  journey(() => product, {
    'tells a deletion as 410': 'its repository in memory forgets what was deleted',
    'undoes a failed transaction': 'its repository in memory has no transactions',
    'keeps trailing zeros': 'it reads numbers as doubles',
    'searches across references': 'its repository in memory looks at one record at a time',
    'pages by links': 'its repository in memory gives the first page only',
  });

  test('[P1] nothing that identifies a patient has reached it in any request', () =>
    assertNothingHidden(server, alreadyThere));
});
