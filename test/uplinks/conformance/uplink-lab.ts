import { expect } from 'vitest';
import { BROADCAST, plainFrame, RandomFrames } from '../../../src/testing/frames.ts';
import type { MockGuest } from '../../../src/testing/mock-guest.ts';
import { Random } from '../../../src/testing/random.ts';
import type { UplinkStats } from '../../../src/uplinks/types.ts';
import { untilPortsBalanced } from '../../support/assert-balanced.ts';
import { checkSame } from '../../support/exchange.ts';
import type { FarEnd } from '../../support/far-end.ts';
import type { TestNic } from '../../support/test-nic.ts';
import { inTime, waitUntil } from '../../support/wait-until.ts';
import type { Specimen } from './specimens.ts';

/** How frames cross the wire in one direction. */
interface Way {
  /** Returns how many of these frames were sent. */
  send(frames: readonly Uint8Array[]): Promise<number>;
  /** At least `count` frames. */
  receive(count: number): Promise<Uint8Array[]>;
}

const FAR_MAC = '02:00:00:00:ff:01';
const CHUNK = 100;

/** A NIC with an uplink, a guest on VF 0, and the far end of the wire. */
export class UplinkLab {
  readonly specimen: Specimen;
  readonly nic: TestNic;
  readonly guest: MockGuest;
  far: FarEnd;

  /** The NIC must have no uplink and no guest. */
  static async open(nic: TestNic, specimen: Specimen): Promise<UplinkLab> {
    specimen.prepare?.();
    const guest = await nic.connect(0, { frameSizeMax: specimen.mtu + 19 });
    await nic.nic.addUplink(specimen.config);
    if (specimen.needsFarEndFirst !== true) await untilUp(nic);
    const far = await specimen.openFarEnd();
    await untilUp(nic);
    return new UplinkLab(nic, specimen, { guest, far });
  }

  private constructor(nic: TestNic, specimen: Specimen, ends: { guest: MockGuest; far: FarEnd }) {
    this.nic = nic;
    this.specimen = specimen;
    this.guest = ends.guest;
    this.far = ends.far;
  }

  /** Removes the uplink and the guest, and checks that every frame is accounted for. */
  async close(): Promise<void> {
    this.far.close();
    try {
      this.nic.checkGuests();
      await untilPortsBalanced(this.nic.nic);
    } finally {
      await this.remove();
      await this.nic.disconnect(0, this.guest);
      this.specimen.cleanUp?.();
    }
  }

  async remove(): Promise<void> {
    for (const { name } of this.nic.nic.uplinks()) await this.nic.nic.removeUplink(name);
  }

  /** After `remove`. */
  async addAgain(): Promise<void> {
    this.far.close();
    await this.nic.nic.addUplink(this.specimen.config);
    this.far = await this.specimen.openFarEnd();
    await untilUp(this.nic);
  }

  get stats(): UplinkStats {
    return statsOf(this.nic);
  }

  /** Frames of the guest that had no receiver. */
  get undeliverable(): number {
    return this.nic.stats(0).tx.drops.noDestination ?? 0;
  }

  until(what: string, isTrue: () => boolean): Promise<void> {
    return until(this.nic, what, isTrue);
  }

  untilLink(state: 'up' | 'down'): Promise<void> {
    return this.until(state, () => this.nic.nic.uplinks()[0]?.state === state);
  }

  /** Frames of the guest that reach the world, with random lengths and contents. */
  toWorld(count: number, seed: number, lengthMax = this.specimen.mtu + 14): Uint8Array[] {
    return randomFrames({ to: BROADCAST, from: this.nic.mac(0) }, count, seed, lengthMax);
  }

  toGuest(count: number, seed: number): Uint8Array[] {
    return this.toVf(0, count, seed, this.specimen.mtu + 14);
  }

  toVf(vf: number, count: number, seed: number, lengthMax: number): Uint8Array[] {
    return randomFrames({ to: this.nic.mac(vf), from: FAR_MAC }, count, seed, lengthMax);
  }

  /** One frame of the guest. */
  frameOf(length: number, seed: number): Uint8Array {
    return plainFrame({ to: BROADCAST, from: this.nic.mac(0) }, length, seed);
  }

  /** A stream of random frames that is fast to generate. */
  streamToWorld(): RandomFrames {
    return new RandomFrames({ to: BROADCAST, from: this.nic.mac(0) }, this.specimen.mtu + 14);
  }

  streamToGuest(): RandomFrames {
    return new RandomFrames({ to: this.nic.mac(0), from: FAR_MAC }, this.specimen.mtu + 14);
  }

  async sendToWorld(frames: readonly Uint8Array[]): Promise<void> {
    const { guest, far } = this;
    far.frames.length = 0;
    await this.#carry(frames, {
      send: async (chunk) => {
        await guest.sendAll(chunk);
        return chunk.length;
      },
      receive: async (count) => {
        await far.arrived(count);
        return far.frames.splice(0);
      },
    });
    await guest.waitTransmitted();
  }

  sendToGuest(frames: readonly Uint8Array[]): Promise<void> {
    const { guest, far } = this;
    return this.#carry(frames, {
      send: (chunk) => {
        const refused = chunk.findIndex((frame) => !far.send(frame));
        return Promise.resolve(refused < 0 ? chunk.length : refused);
      },
      receive: async (count) => [...(await guest.waitReceived(count)), ...guest.inbox.drain()],
    });
  }

  /** A far end that is a separate program may return later than the uplink. */
  async untilReachable(): Promise<void> {
    const { guest, far } = this;
    const [probe, last] = this.toWorld(2, 0) as [Uint8Array, Uint8Array];
    far.frames.length = 0;
    for (let i = 0; i < 100 && far.frames.length === 0; i++) {
      await guest.sendAll([probe]);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // Probes may still be in flight.
    await guest.sendAll([last]);
    await this.until('the last', () => Buffer.compare(far.frames.at(-1) ?? probe, last) === 0);
    far.frames.length = 0;
  }

  /**
   * Sends frames as fast as the other side takes them, never more in flight than it can queue, and
   * compares everything that arrives.
   */
  async #carry(frames: readonly Uint8Array[], way: Way): Promise<void> {
    const chunkSize = this.specimen.chunk ?? CHUNK;
    let sent = 0;
    let came = 0;
    const progress = (): object => ({ sent, came, ...this.stats });
    while (came < frames.length) {
      const chunk = frames.slice(sent, came + chunkSize);
      if (chunk.length > 0) sent += await way.send(chunk);
      if (sent === came) {
        await new Promise((resolve) => setImmediate(resolve)); // no room, and nothing in flight
        continue;
      }
      const count = Math.min(sent - came, Math.ceil(chunkSize / 2));
      const received = await inTime(way.receive(count), progress);
      checkSame(received, frames.slice(came, came + received.length), came);
      came += received.length;
    }
    expect(came).toBe(frames.length);
  }
}

function statsOf(nic: TestNic): UplinkStats {
  const [stats] = nic.nic.stats().uplinks;
  if (stats === undefined) throw new Error('no uplink');
  return stats;
}

function until(nic: TestNic, what: string, isTrue: () => boolean): Promise<void> {
  return waitUntil(isTrue, () => ({ what, ...statsOf(nic) }));
}

function untilUp(nic: TestNic): Promise<void> {
  return until(nic, 'up', () => nic.nic.uplinks()[0]?.state === 'up');
}

function randomFrames(
  addresses: { to: string; from: string },
  count: number,
  seed: number,
  lengthMax: number,
): Uint8Array[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) =>
    plainFrame(addresses, random.between(60, lengthMax), seed * 100_000 + index),
  );
}
