// Sharing: whether each VF gets what it was promised, whatever the others do.

import { runChanges } from './sharing-changes.ts';
import { runCost } from './sharing-cost.ts';
import { runFloods } from './sharing-floods.ts';
import { runHeld } from './sharing-held.ts';
import { runLimits } from './sharing-limits.ts';
import { runPing } from './sharing-ping.ts';
import type { SuiteContext } from './suite.ts';

export async function runSharing(context: SuiteContext): Promise<void> {
  await runLimits(context);
  await runFloods(context);
  await runPing(context);
  await runHeld(context);
  await runChanges(context);
  await runCost(context);
  for (const [what, reason] of unmeasured) context.omit(`sharing, ${what}`, reason);
}

const unmeasured = [
  ['TCP of a guest at txMax', 'it needs real guests, which this suite does not start'],
  ['a VF stops, a VF that toggles', 'the driver changes its load only between windows'],
  ['floods of TSO, long chains and missed windows', 'the driver does not mix them with frames'],
  ['tc HTB on a bridge with TAPs', 'the driver has no TAPs: its rings need vhost-user'],
] as const;
