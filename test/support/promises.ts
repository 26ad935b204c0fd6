// Promises and accounts of the schedule, written and read as the control plane does.
import { type AccountStats, readAccount } from '../../src/state/accounts.ts';
import { writePromise } from '../../src/state/promises.ts';
import type { FirmwareHost } from './firmware-host.ts';

interface Words {
  bytesPerSecond?: number | undefined;
  packetsPerSecond?: number | undefined;
  burstNs?: number;
  guaranteedBytesPerSecond?: number | undefined;
  /** The part of a processor that the guarantee may take. */
  guaranteedTime?: number;
  /** What it may receive. */
  receivedBytesPerSecond?: number | undefined;
  receivedPacketsPerSecond?: number | undefined;
  /** Bytes of each received frame on the wire beside its own. */
  overhead?: number;
  weight?: number;
  priority?: number;
  parent?: number;
}

function inverse(perSecond: number | undefined): number {
  return perSecond === undefined ? 0 : 1e9 / perSecond;
}

/** Promises a node all of this, and nothing else. */
export function promise(host: FirmwareHost, node: number, words: Words): void {
  const { burstNs = 450_000 } = words;
  writePromise(host.shared.view, node, {
    maxByteNs: inverse(words.bytesPerSecond),
    maxPacketNs: inverse(words.packetsPerSecond),
    burstNs,
    shareByteNs: inverse(words.guaranteedBytesPerSecond),
    shareTime: 1 / (words.guaranteedTime ?? 1),
    weightInverse: 1 / (words.weight ?? 1),
    parent: words.parent ?? 0,
    priority: words.priority ?? 0,
    rxByteNs: inverse(words.receivedBytesPerSecond),
    rxPacketNs: inverse(words.receivedPacketsPerSecond),
    rxBurstNs: burstNs,
    rxOverhead: words.overhead ?? 0,
  });
  host.firmware.changeNode(node);
}

/** What a node has had. */
export function accountOf(host: FirmwareHost, node: number): AccountStats {
  return readAccount(host.shared.view, node);
}
