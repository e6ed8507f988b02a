/** What the Key Management Plan needs beside the other answers: a row for the table of questions. */
import { z } from 'zod';
import type { Clock } from '../../core/index.ts';
import type { Question } from '../control/act.ts';
import { OPERATOR_ROLES } from '../operators.ts';
import type { Root } from '../roots/root.ts';
import { EXHAUSTED_USES, MOST_USES, USES_TO_ROTATE } from '../usage.ts';

export interface PlanQuestionOptions {
  readonly tenant: string;
  readonly clock: Clock;
  readonly root: Root;
  readonly nextRoot?: Root | undefined;
  readonly waitingMs: number;
}

const nothing = z.strictObject({});

export function planQuestions({ tenant, clock, root, nextRoot, waitingMs }: PlanQuestionOptions): Question[] {
  const facts: Question<z.infer<typeof nothing>> = {
    name: 'plan-facts',
    summary: 'Tell what the root is, how long a destruction waits, and how much a key may protect.',
    roles: OPERATOR_ROLES,
    params: nothing,
    resources: () => ['root'],
    answer: async () => ({
      tenant,
      at: clock.now(),
      root: root.describe(),
      nextRoot: nextRoot?.describe() ?? null,
      waitingMs,
      mostUses: MOST_USES,
      rotateAtUses: USES_TO_ROTATE,
      exhaustedAtUses: EXHAUSTED_USES,
    }),
  };
  return [facts];
}
