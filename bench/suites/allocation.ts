// Does the data plane allocate? V8's trace of garbage collections shows it, while frames flow.

import { createHeddle, heddleName } from '../peers/heddle.ts';
import { warmUpSeconds } from './forward.ts';
import { withDriver } from './session.ts';
import type { SuiteContext } from './suite.ts';

const framesInFlight = 256;
/** `[pid:isolate] … ms: Scavenge …` or `Mark-Compact`: each thread has its own isolate. */
const collection = /^\[\d+:(0x[0-9a-f]+)\].*\b(Scavenge|Mark-Compact)/gm;

export async function runAllocation(context: SuiteContext): Promise<void> {
  if (!context.peers.some(({ name }) => name === heddleName)) {
    context.omit('allocation', 'it measures only Heddle, which is not selected');
    return;
  }
  await context.attempt('allocation', () => measure(context));
}

async function measure(context: SuiteContext): Promise<void> {
  const peer = createHeddle({ nodeArguments: ['--trace-gc'] });
  await withDriver(peer, 2, {}, async (driver) => {
    const seconds = context.profile.allocation.windowSeconds;
    // Garbage from before V8 had compiled everything is collected some seconds later.
    await driver.loop({ framesInFlight, warmUpSeconds, seconds });
    const before = peer.output().length;
    const { switchCores, generatorCores } = await driver.loop({
      ...{ framesInFlight, warmUpSeconds: 0, seconds },
    });
    const collections = [...peer.output().slice(before).matchAll(collection)];
    // The first to collect is the main thread, which only answers the operator.
    const main = [...peer.output().matchAll(collection)].at(0)?.[1];
    if (main === undefined) throw new Error('Node traced no collection, not even at its start');
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
