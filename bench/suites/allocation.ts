// Does the data plane allocate? V8's garbage collector says so, in its trace, while frames flow.

import { createHeddle, heddleName } from '../peers/heddle.ts';
import { warmUpSeconds } from './forward.ts';
import { withDriver } from './session.ts';
import type { SuiteContext } from './suite.ts';

const framesInFlight = 256;
/** `[pid:isolate] … ms: Scavenge …` or `Mark-Compact`: each thread has an isolate of its own. */
const collection = /^\[\d+:(0x[0-9a-f]+)\].*\b(Scavenge|Mark-Compact)/gm;

export async function runAllocation(context: SuiteContext): Promise<void> {
  if (!context.peers.some(({ name }) => name === heddleName)) {
    context.omit('allocation', 'it is about Heddle, which was not asked for');
    return;
  }
  await context.attempt('allocation', () => measure(context));
}

async function measure(context: SuiteContext): Promise<void> {
  const peer = createHeddle({ nodeArguments: ['--trace-gc'] });
  await withDriver(peer, 2, {}, async (driver) => {
    const seconds = context.profile.allocation.windowSeconds;
    // What was allocated until V8 had compiled everything is collected some seconds later.
    await driver.loop({ framesInFlight, warmUpSeconds, seconds });
    const before = peer.output().length;
    const { switchCores, generatorCores } = await driver.loop({
      ...{ framesInFlight, warmUpSeconds: 0, seconds },
    });
    const collections = [...peer.output().slice(before).matchAll(collection)];
    // The first that ever collected is the main thread, which only answers the operator.
    const main = [...peer.output().matchAll(collection)].at(0)?.[1];
    if (main === undefined) throw new Error('Node traced no collection at all, not even at start');
    const inProcessors = collections.filter(([, isolate]) => isolate !== main).length;
    const common = {
      ...({ suite: 'allocation', peer: peer.name, round: 0, unit: '', x: null } as const),
      ...{ workload: `${seconds} s of traffic`, isDisturbed: false, switchCores, generatorCores },
    };
    context.record({ ...common, metric: 'collections in processors', value: inProcessors });
    const inMain = collections.length - inProcessors;
    context.record({ ...common, metric: 'collections elsewhere', value: inMain });
  });
}
