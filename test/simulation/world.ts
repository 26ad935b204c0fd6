import { TURN_BUSY } from '../../layout/processor.ts';
import {
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_VERSION_1,
  VIRTIO_NET_F_MRG_RXBUF,
} from '../../layout/virtio.ts';
import { BROADCAST, isIntact, macText, readUdpTag, udpFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { Random } from '../../src/testing/random.ts';
import { imbalances } from '../support/assert-balanced.ts';
import { FirmwareWire } from '../support/firmware-wire.ts';

const FEATURES = [
  VIRTIO_NET_F_MRG_RXBUF,
  VIRTIO_F_INDIRECT_DESC,
  VIRTIO_F_EVENT_IDX,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_VERSION_1,
];
const STRANGER = '06:00:00:00:00:01';

export interface WorldOptions {
  seed: number;
  steps: number;
  /** Corrupts one byte of one frame in guest memory: a simulation that must fail. */
  isCanary?: boolean;
}

export interface WorldResult {
  sent: number;
  received: number;
  dropped: number;
  evictions: number;
  misses: number;
}

/**
 * Guests that send, stall and come back at random, on the real firmware, with a simulated clock.
 * Everything follows from the seed.
 *
 *   step: a guest sends ∣ receives ∣ stalls … ∣ the firmware turns ∣ a window goes ∣ time passes
 *
 * Invariants at every step: a frame that arrives equals what was sent, and is newer than all
 * earlier ones of its flow; at the end every frame is accounted for.
 */
export class World {
  readonly #random: Random;
  readonly #options: WorldOptions;
  readonly #wire: FirmwareWire;
  /** Guests that receive nothing for a while: their rings fill up. */
  readonly #stalledUntil: number[] = [];
  /** The last sequence number that each guest received from each sender, by kind of frame. */
  readonly #lastSeen = new Map<string, number>();
  readonly #sequences: number[] = [];
  /** The step, and the seconds that the firmware gets. */
  #now = 0;
  #seconds = 1;
  #received = 0;
  #sent = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const count = this.#random.between(2, 6);
    const guests = Array.from({ length: count }, () => this.#randomGuest());
    this.#wire = new FirmwareWire(guests, { slotCount: this.#random.between(40, 200) });
    this.#wire.postAll();
  }

  run(): WorldResult {
    for (; this.#now < this.#options.steps; this.#now++) this.#step();
    this.#stalledUntil.length = 0;
    for (let number = 0; number < this.#wire.guests.length; number++) this.#receive(number);
    this.#wire.run();
    for (let number = 0; number < this.#wire.guests.length; number++) {
      this.#receive(number);
      for (const { receive, transmit } of this.#wire.guest(number).pairs) {
        transmit.reclaim();
        if (transmit.outstanding !== 0) throw new Error(`guest ${number}: frames never came back`);
        if (receive.ring.hasUsed) throw new Error(`guest ${number}: buffers were not taken`);
      }
    }
    return this.#account();
  }

  close(): void {
    this.#wire.close();
  }

  #randomGuest(): GuestOptions {
    const random = this.#random;
    const features = FEATURES.filter(() => random.chance(0.6));
    const isSparse = random.chance(0.5);
    const packed = random.chance(0.5);
    const regions = [0, 1, 2].map((index) => ({
      guestAddress: index * 0x1_0000_0000,
      sizeBytes: isSparse ? 0x4000_0000 : 0x0080_0000,
    }));
    return {
      features,
      packed,
      queueSize: random.pick(packed ? [8, 11, 64, 250] : [8, 16, 64, 256]),
      slots: random.pick([8, 32, 64]),
      frameSizeMax: random.pick([1514, 1514, 9000]),
      bufferBytesMin: random.pick([60, 300, 1514]),
      bufferBytesMax: 1514,
      ringBase: random.pick([0, 65530]),
      indirectShare: random.pick([0, 0.5, 1]),
      memory: { sparse: isSparse, regions, gapBytesMax: random.below(200) },
      seed: random.next(),
    };
  }

  #step(): void {
    const random = this.#random;
    const number = random.below(this.#wire.guests.length);
    const choice = random.below(100);
    if (choice < 45) this.#send(number);
    else if (choice < 65) this.#receive(number);
    else if (choice < 67) this.#stalledUntil[number] = this.#now + random.below(300);
    else if (choice < 95) this.#turn();
    else if (choice < 97) this.#evict();
    else this.#passTime();
  }

  #send(from: number): void {
    const random = this.#random;
    const others = this.#wire.guests.length - 1;
    const to = (from + 1 + random.below(others)) % this.#wire.guests.length;
    const kinds = [this.#wire.mac(to), this.#wire.mac(to), BROADCAST, STRANGER];
    const limit = this.#wire.guest(from).options.frameSizeMax ?? 1514;
    const sequence = (this.#sequences[from] ?? 0) + 1;
    const frame = udpFrame({
      to: random.pick(kinds),
      from: this.#wire.mac(from),
      flow: from,
      sequence,
      seed: this.#options.seed,
      length: random.between(54, random.chance(0.9) ? 1514 : limit),
    });
    if (this.#options.isCanary === true && sequence === 20) frame[frame.length - 1]! ^= 1;
    if (!this.#wire.send(from, frame)) return;
    this.#sequences[from] = sequence;
    this.#sent += 1;
  }

  #receive(number: number): void {
    if ((this.#stalledUntil[number] ?? 0) > this.#now) return;
    for (const frame of this.#wire.received(number)) this.#check(number, frame);
  }

  #check(number: number, frame: Uint8Array): void {
    this.#received += 1;
    const tag = readUdpTag(frame);
    if (tag === null || !isIntact(frame)) {
      const start = Buffer.from(frame.subarray(0, 64)).toString('hex');
      throw new Error(
        `guest ${number} received a damaged frame of ${frame.length} bytes: ${start}`,
      );
    }
    // Flooded frames follow the others of their batch: each kind has its own order.
    const isFlooded = macText(frame) !== this.#wire.mac(number);
    const flow = `${number} from ${tag.flow}, flooded: ${isFlooded}`;
    const last = this.#lastSeen.get(flow) ?? 0;
    if (tag.sequence <= last) throw new Error(`guest ${flow}: ${tag.sequence} after ${last}`);
    if (tag.flow === number) throw new Error(`guest ${number} received its own frame`);
    this.#lastSeen.set(flow, tag.sequence);
  }

  /** One call of the firmware, which often leaves a batch unfinished, waiting for a window. */
  #turn(): void {
    const { host } = this.#wire;
    const isIdle = (host.turn() & TURN_BUSY) === 0;
    const wake = host.firmware.wakeMicroseconds();
    if (isIdle && wake >= 0) host.pass(wake * 1000 + 1000); // the host sleeps
    for (const { pairs } of this.#wire.guests) {
      for (const { transmit } of pairs) transmit.reclaim();
    }
  }

  /**
   * Removes a guest's windows, as a change of its memory between two turns does; never those of an
   * open batch.
   */
  #evict(): void {
    const { host } = this.#wire;
    if (host.firmware.isMidBatch() !== 0) return;
    host.forgetWindows(this.#random.below(host.guests.size));
  }

  #passTime(): void {
    this.#seconds += this.#random.below(200);
    this.#wire.host.setNow(this.#seconds);
  }

  #account(): WorldResult {
    const stats = this.#wire.host.stats();
    const problems = imbalances(stats);
    const offered = stats.vfs.reduce((sum, { rx }) => sum + rx.packets, 0);
    const taken = stats.vfs.reduce((sum, { tx }) => sum + tx.packets, 0);
    if (offered !== this.#received) problems.push(`${offered} delivered, ${this.#received} came`);
    if (taken !== this.#sent) problems.push(`${taken} taken, ${this.#sent} sent`);
    const drops = this.#wire.guests.map((_, number) => this.#wire.allDrops(number));

    const allowed = new Set(['rx.ringFull', 'rx.bufferTooSmall']);
    let dropped = 0;
    for (const [number, reasons] of drops.entries()) {
      for (const [reason, count] of Object.entries(reasons)) {
        dropped += count;
        if (!allowed.has(reason)) problems.push(`guest ${number}: ${count} × ${reason}`);
      }
    }
    if (problems.length > 0) throw new Error(problems.join('; '));
    const { evictions, misses } = this.#wire.host;
    return { sent: this.#sent, received: this.#received, dropped, evictions, misses };
  }
}
