import type { Drops } from '../../src/state/drop-reasons.ts';
import { macOf } from '../../src/testing/frames.ts';
import { type GuestOptions, GuestQueues } from '../../src/testing/guest-queues.ts';
import type { Layout } from '../../src/testing/slot.ts';
import { assertBalanced } from './assert-balanced.ts';
import { FirmwareHost, type HostOptions } from './firmware-host.ts';

/**
 * Several guests on one firmware, without sockets or threads. VF n has the address `macOf(n + 1)`.
 */
export class FirmwareWire {
  readonly host: FirmwareHost;
  readonly guests: GuestQueues[] = [];

  constructor(guests: readonly GuestOptions[], options: HostOptions = {}) {
    this.host = new FirmwareHost(options);
    for (const guest of guests) this.addGuest(guest);
  }

  addGuest(options: GuestOptions): number {
    const number = this.guests.length;
    const queues = new GuestQueues({ seed: number + 1, slots: 128, ...options });
    this.guests.push(queues);
    this.host.addGuest(number, queues, this.mac(number));
    return number;
  }

  mac(number: number): string {
    return macOf(number + 1);
  }

  guest(number: number): GuestQueues {
    const guest = this.guests[number];
    if (guest === undefined) throw new Error(`assertion: no guest ${number}`);
    return guest;
  }

  /** Offers receive buffers in every queue of a guest. */
  post(number: number, limit?: number): void {
    for (const { receive } of this.guest(number).pairs) {
      receive.post(limit);
      receive.ring.publish();
    }
  }

  postAll(): void {
    for (const number of this.guests.keys()) this.post(number);
  }

  /** Puts a frame on a transmit ring. False if it is full. */
  send(from: number, frame: Uint8Array, layout?: Layout, pair = 0): boolean {
    const { transmit } = this.guest(from).pair(pair);
    transmit.reclaim();
    const isSent = transmit.trySend(frame, layout);
    transmit.ring.publish();
    return isSent;
  }

  /** The frames that a guest has received since the last call. Their buffers are posted again. */
  received(number: number, options: { repost?: boolean } = {}): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (const { receive } of this.guest(number).pairs) {
      for (let frame = receive.take(); frame !== null; frame = receive.take()) frames.push(frame);
      if (options.repost !== false) receive.post();
      receive.ring.publish();
    }
    return frames;
  }

  /** Runs until idle. Then every transmitted buffer must be back and every frame accounted for. */
  run(): void {
    this.host.run();
    for (const { pairs } of this.guests) for (const { transmit } of pairs) transmit.reclaim();
    assertBalanced(this.host.stats());
  }

  /** The count of `reason`, on the transmit side or on the receive side of a VF. */
  drops(number: number, side: 'tx' | 'rx', reason: keyof Drops): number {
    return this.host.stats().vfs[number]?.[side].drops[reason] ?? 0;
  }

  /** All non-zero drops of a VF. */
  allDrops(number: number): Record<string, number> {
    const vf = this.host.stats().vfs[number];
    const entries = [
      ...Object.entries(vf?.tx.drops ?? {}).map(([name, count]) => [`tx.${name}`, count] as const),
      ...Object.entries(vf?.rx.drops ?? {}).map(([name, count]) => [`rx.${name}`, count] as const),
    ];
    return Object.fromEntries(entries);
  }

  close(): void {
    for (const guest of this.guests) guest.close();
  }
}
