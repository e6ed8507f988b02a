/** `keyward keys drill`: rehearses a recovery on the side, and has the result recorded. */
import type { Json } from '@keyward/sdk/seal';
import type { Command } from 'commander';
import { asKeywardError, dataPaths, KeywardError, parseJson } from '../../core/index.ts';
import type { FhirResource } from '../../phi/index.ts';
import type { CliContext, RehearsedKeys, TokenSourceOptions } from '../context.ts';
import { firstPatient } from '../demo/journal.ts';
import { at, textAt } from '../json.ts';
import { openDesk } from '../keys/desk.ts';
import { openAtRest, provePatient } from '../recovery/prove-patient.ts';
import { type Quorum, type QuorumFlags, quorumOf, withQuorum } from '../recovery/quorum.ts';
import { readTextFile } from '../recovery/share-files.ts';
import { bodyOf } from '../refusal.ts';
import { openSession } from '../session.ts';
import { fhirId, tokenFileOption, verb } from '../verb.ts';

type Flags = QuorumFlags & TokenSourceOptions & { readonly patient?: string; readonly sealed?: string };

export function keysDrillCommand(context: CliContext): Command {
  const command = verb(
    'drill',
    'Rehearse a recovery: restore into a directory of its own, open a sealed patient there, record the result.',
    'keyward keys drill --backup B.kwb --share ada.share --share ben.share',
  );
  return withQuorum(command)
    .addOption(tokenFileOption())
    .option('--as <sub>', 'who you are, with the development issuer', 'operator')
    .option('--patient <id>', 'patient in the built-in store (default: the first that was loaded)', fhirId)
    .option('--sealed <file>', 'a Patient as your own FHIR server holds it, in FHIR JSON')
    .action(async (flags: Flags) => {
      const quorum = quorumOf(context, flags);
      const started = context.clock.now().getTime();
      const outcome = await rehearse(context, flags, quorum);
      const durationMs = context.clock.now().getTime() - started;
      await record(context, flags, { backup: quorum.shares[0]?.backup ?? '', ...outcome, durationMs });
      if (outcome.errorCode !== undefined) throw new KeywardError(outcome.errorCode);
      const answer = { opened: true, durationMs };
      context.terminal.out.write(
        flags.json ? `${JSON.stringify(answer)}\n` : `opened, after ${durationMs} ms; recorded\n`,
      );
    });
}

type Outcome = { readonly opened: boolean; readonly errorCode?: KeywardError['code'] };

/** A rehearsal that fails is a result, too. */
async function rehearse(context: CliContext, flags: Flags, quorum: Quorum): Promise<Outcome> {
  const patient = await findPatient(context, flags);
  try {
    await context.services.rehearseRecovery(flags, quorum, async (keys) => {
      quorum.say('opening a sealed patient …');
      await provePatient(keys, await patient(keys), context.services.sealing(flags).catalogue);
    });
    return { opened: true };
  } catch (error) {
    return { opened: false, errorCode: asKeywardError(error).code };
  }
}

/** Where the sealed patient comes from; a record of the built-in store is opened with the restored keys as well. */
async function findPatient(
  context: CliContext,
  { sealed, patient, ...options }: Flags,
): Promise<(keys: RehearsedKeys) => Promise<FhirResource>> {
  if (sealed !== undefined) {
    const resource = parseJson(Buffer.from(readTextFile(sealed))) as FhirResource;
    return async () => resource;
  }
  const known = patient === undefined ? firstPatient(dataPaths(options.dataDir)) : `Patient/${patient}`;
  if (known === undefined) throw new KeywardError('CLI_NO_PATIENT');
  await using session = openSession(context, options);
  const held = bodyOf(await session.admin('admin', `v1/store/at-rest/${known}`));
  return (keys) => openAtRest(keys, addressed(held));
}

function addressed(held: Json) {
  const [type, id, body] = ['type', 'id', 'body'].map((name) => textAt(held, name));
  const version = Number(at(held, 'version'));
  if (type === undefined || id === undefined || body === undefined) throw new KeywardError('CLI_NO_PATIENT');
  return { type, id, body, version };
}

async function record(context: CliContext, flags: Flags, result: Outcome & { backup: string; durationMs: number }) {
  await using desk = openDesk(context, flags);
  await desk.act('record-drill', result, 'drill');
}
