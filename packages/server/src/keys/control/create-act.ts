/** Makes a data key before it is first needed, e.g. to have it in a backup before anything is sealed with it. */
import { z } from 'zod';
import { KeywardError } from '../../core/index.ts';
import type { DataKeys } from '../data-keys.ts';
import type { Wanted } from '../grants.ts';
import { formatKeyRef, parseKeyRef } from '../key-ref.ts';
import type { LifeEvents } from '../lifecycle/events.ts';
import type { Recorder } from '../recorder.ts';
import type { Act } from './act.ts';

export interface CreateActOptions {
  readonly dataKeys: DataKeys;
  readonly events: LifeEvents;
  readonly recorder: Pick<Recorder, 'record'>;
}

const uuid = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** Keys of the ledger's days are made by the ledger alone. */
const params = z.strictObject({
  target: z
    .string()
    .regex(new RegExp(`^(tenant|store|cursor|index/[A-Za-z][A-Za-z0-9:._-]{0,63}|subject/${uuid})$`))
    .meta({ description: 'tenant, store, cursor, index/CLASS or subject/UUID' }),
});

export const createAct = ({ dataKeys, events, recorder }: CreateActOptions): Act => {
  const act: Act<z.infer<typeof params>> = {
    name: 'create',
    summary: 'Make a data key before it is first needed.',
    role: 'key-creator',
    dual: false,
    params,
    resources: ({ target }) => [target],
    async run({ target }, context) {
      const ref = parseKeyRef(target);
      if (!('kind' in ref)) throw new KeywardError('KEYS_REF_INVALID');
      await requireOnly(dataKeys, ref, undefined);
      const [draft] = await dataKeys.draft([ref]);
      if (!draft) throw new KeywardError('KEYS_STATE_REFUSED');
      const subjects = ref.kind === 'subject' ? [ref.scope] : [];
      const facts = { verb: 'create', rule: 'keys.lifecycle', resources: [target], keyIds: [draft.id], subjects };
      await recorder.record([events.changing(facts, context)]);
      await dataKeys.insert([draft]);
      if (!(await requireOnly(dataKeys, ref, draft.id))) throw new KeywardError('KEYS_STATE_REFUSED');
      return { created: formatKeyRef({ key: draft.id }) };
    },
  };
  return act;
};

/** Whether the key of that id is there. Another may have come first; and where the KEK changed meanwhile, none was made. */
async function requireOnly(dataKeys: DataKeys, spec: Wanted, id: string | undefined): Promise<boolean> {
  const [existing] = await dataKeys.findBySpecs([spec]);
  if (existing && existing.id !== id)
    throw new KeywardError('KEYS_TRANSITION_REFUSED', { detail: 'There is, or was, a key for that.' });
  return existing !== undefined;
}
