import type { Layout } from '../../src/testing/slot.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';
import { type Arrival, netHeaderBytes, type Packet, readNetHeader } from './packets.ts';

/** A wire whose frames have virtio-net headers. */
export class OffloadWire extends FirmwareWire {
  sendPacket(from: number, made: Packet, layout?: Layout): void {
    const { transmit } = this.guest(from).pair(0);
    transmit.reclaim();
    if (!transmit.trySend(made.frame, layout, netHeaderBytes(made.header))) {
      throw new Error('assertion: the transmit ring is full');
    }
    transmit.ring.publish();
  }

  /** What a guest has received since the last call; its buffers are posted again. */
  arrivals(number: number): Arrival[] {
    const arrivals: Arrival[] = [];
    for (const { receive } of this.guest(number).pairs) {
      for (let frame = receive.take(); frame !== null; frame = receive.take()) {
        arrivals.push({ frame, header: readNetHeader(receive.header) });
      }
      receive.post();
      receive.ring.publish();
    }
    return arrivals;
  }
}
