/** The journey over HAPI FHIR's JPA server in its default configuration; then what becomes of our marks there, and of its database in wrong hands. */
import { after, before, describe, test } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
import { existingData } from './existing-data.ts';
import { assertNothingHidden, hiddenTextsIn } from './foreign-server.ts';
import { type Hapi, startHapi } from './hapi/hapi.ts';
import { installHapi } from './hapi/install.ts';
import { journey } from './journey.ts';
import { marks } from './marks.ts';
import { tampering } from './tampering.ts';

const installation = process.env['KEYWARD_TEST_ALL']
  ? installHapi()
  : { missing: 'a Java server takes a minute: KEYWARD_TEST_ALL is not set' };
const skip = 'missing' in installation ? `skipped: ${installation.missing}` : false;

describe('behind the gateway stands HAPI FHIR', { skip }, () => {
  let hapi: Hapi;
  let product: Product;
  let alreadyThere: ReadonlySet<string>;
  before(async () => {
    hapi = await startHapi('classPath' in installation ? installation.classPath : '');
    alreadyThere = await hiddenTextsIn(hapi);
    product = await startProduct({ env: { KEYWARD_GATEWAY_UPSTREAM_URL: hapi.url } });
  });
  after(() => hapi.stop());

  journey(() => product);
  describe('what HAPI does to our marks', () => marks(() => ({ hapi, product })));
  describe('its database in wrong hands', () => tampering(() => ({ hapi, product })));

  test('[P1] nothing that identifies a patient is in its database, its files or its log', () =>
    assertNothingHidden(hapi, alreadyThere));

  describe('what it held before Keyward came', () => existingData(() => ({ hapi, product })));
});
