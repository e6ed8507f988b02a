/** The journey over the built-in store: what is asked of servers that we did not write is asked of ours too. */
import { before, describe } from 'node:test';
import { type Product, startProduct } from '../support/product.ts';
import { journey } from './journey.ts';

describe('behind the gateway stands the built-in store', () => {
  let product: Product;
  before(async () => {
    product = await startProduct();
  });
  journey(() => product);
});
