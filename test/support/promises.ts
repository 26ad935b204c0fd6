// Promises and accounts of the schedule, as the control plane writes and reads them.
import { SHARED_ACCOUNTS, SHARED_PROMISES } from '../../layout/memory.ts';
import * as layout from '../../layout/scheduler.ts';
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
  const at = host.sharedAddress(SHARED_PROMISES + node * layout.PROMISE_SIZE);
  const set = (field: number, value: number) => host.view.setFloat64(at + field, value, true);
  set(layout.PROMISE_MAX_BYTE_NS, inverse(words.bytesPerSecond));
  set(layout.PROMISE_MAX_PACKET_NS, inverse(words.packetsPerSecond));
  set(layout.PROMISE_BURST_NS, words.burstNs ?? 450_000);
  set(layout.PROMISE_SHARE_BYTE_NS, inverse(words.guaranteedBytesPerSecond));
  set(layout.PROMISE_SHARE_TIME, 1 / (words.guaranteedTime ?? 1));
  set(layout.PROMISE_WEIGHT_INVERSE, 1 / (words.weight ?? 1));
  set(layout.PROMISE_RX_BYTE_NS, inverse(words.receivedBytesPerSecond));
  set(layout.PROMISE_RX_PACKET_NS, inverse(words.receivedPacketsPerSecond));
  set(layout.PROMISE_RX_BURST_NS, words.burstNs ?? 450_000);
  host.view.setUint32(at + layout.PROMISE_RX_OVERHEAD, words.overhead ?? 0, true);
  host.view.setUint32(at + layout.PROMISE_PARENT, words.parent ?? 0, true);
  host.view.setUint32(at + layout.PROMISE_PRIORITY, words.priority ?? 0, true);
  host.firmware.changeNode(node);
}

/** What a node has had. */
export function accountOf(host: FirmwareHost, node: number) {
  const at = host.sharedAddress(SHARED_ACCOUNTS + node * layout.ACCOUNT_SIZE);
  return {
    bytes: Number(host.view.getBigUint64(at + layout.ACCOUNT_BYTES, true)),
    packets: Number(host.view.getBigUint64(at + layout.ACCOUNT_PACKETS, true)),
    workNs: host.view.getFloat64(at + layout.ACCOUNT_WORK_NS, true),
    heldNs: host.view.getFloat64(at + layout.ACCOUNT_HELD_NS, true),
  };
}
