// The cost of safety: the firmware, compared with the same firmware without its windows.
//
// Both run alone, on two guests that are nothing but memory in the same thread. So this is the cost
// in the firmware alone, and the largest share that windows can have: it includes no cache misses
// of others.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Child } from '../child.ts';
import { heddleName } from '../peers/heddle.ts';
import { switchCore } from '../peers/peer.ts';
import type { SuiteContext } from './suite.ts';

// This file runs as build/bench/suites/checks.js.
const script = fileURLToPath(new URL('../in-process/main.js', import.meta.url));
const firmware = fileURLToPath(new URL('../../../dist/firmware/heddle.wasm', import.meta.url));
const unchecked = fileURLToPath(new URL('../../firmware/unchecked.wasm', import.meta.url));

const frameSizes = [64, 1500];
/** Shorter than those of a switch: nothing has to settle between two processes. */
const roundsPerRound = 3;
const windowSeconds = 0.3;
const patienceSeconds = 20;

export async function runChecks(context: SuiteContext): Promise<void> {
  if (!existsSync(unchecked)) {
    context.omit('checks (the cost of safety)', 'the firmware without windows is not built');
    return;
  }
  for (let round = 0; round < context.profile.rounds * roundsPerRound; round++) {
    for (const frameBytes of frameSizes) {
      await context.attempt(`checks, round ${round + 1}`, () => visit(context, round, frameBytes));
    }
  }
}

async function visit(context: SuiteContext, round: number, frameBytes: number): Promise<void> {
  // The order alternates too.
  const order = round % 2 === 0 ? [firmware, unchecked] : [unchecked, firmware];
  const figures = await measure(frameBytes, order);
  for (const [at, path] of order.entries()) {
    context.record({
      ...{ suite: 'checks', round, workload: `${frameBytes} B`, x: null },
      peer: path === firmware ? heddleName : 'without windows',
      ...{ metric: 'cost of a frame', unit: 'ns', value: figures[at]! },
      ...{ isDisturbed: false, switchCores: null, generatorCores: null },
    });
  }
}

async function measure(frameBytes: number, modules: readonly string[]): Promise<number[]> {
  const args = [script, String(windowSeconds), String(frameBytes), ...modules];
  const child = new Child('the loop', process.execPath, args, { cores: String(switchCore) });
  try {
    await child.waitFor(/^.+\n.+\n/, 0, patienceSeconds, 'printed');
    const figures = child.printed.trim().split('\n').map(Number);
    if (figures.length !== modules.length || figures.some((ns) => !(ns > 0))) {
      throw child.failure('printed no figures');
    }
    return figures;
  } finally {
    await child.stop();
  }
}
