// What a NIC costs when its VMs have nothing to say.
//
// The ports belong to a testpmd that has connected them and does not forward: rings are set up
// and enabled, and nothing moves. Its own core does not matter; the switch's process is measured.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Peer } from '../peers/peer.ts';
import { withConnectedPorts } from './session.ts';

const portCount = 8;
/** After the last port's set-up, which is work. */
const settleSeconds = 2;
const windowSeconds = 10;

export interface IdleSample {
  readonly peer: string;
  readonly portCount: number;
  readonly windowSeconds: number;
  /** CPU time of the switch, per second of the window. */
  readonly switchCores: number;
}

export async function runIdle(peer: Peer): Promise<IdleSample> {
  return withConnectedPorts(peer, portCount, async () => {
    await sleep(settleSeconds * 1000);
    const started = performance.now();
    const before = peer.cpuSeconds();
    await sleep(windowSeconds * 1000);
    const cpuSeconds = peer.cpuSeconds() - before;
    const elapsed = (performance.now() - started) / 1000;
    return {
      peer: peer.name,
      portCount,
      windowSeconds: elapsed,
      switchCores: cpuSeconds / elapsed,
    };
  });
}
