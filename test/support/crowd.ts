import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import type { GuestOptions } from '../../src/testing/guest-queues.ts';
import { FirmwareWire } from './firmware-wire.ts';
import { accountOf } from './promises.ts';

/** Frames that a busy guest has on its ring. */
export const BACKLOG = 300;
/** How often drivers fill their rings, at least: none runs empty or full meanwhile. */
const DRIVER_NS = 50_000;
/** Of the fake clock, between two looks at it. */
const LOOK_NS = 3000;

/** Guests that always have something to send to the last one, which takes everything. */
export class Crowd {
  readonly wire: FirmwareWire;
  /** The guest that takes everything. */
  readonly sink: number;
  readonly #lengths: readonly number[];

  /** `lengths`: of the frames of each guest that sends. */
  constructor(lengths: readonly number[], options: (guest: number) => GuestOptions = () => ({})) {
    const rings: GuestOptions = { queueSize: 512, slots: BACKLOG, indirectShare: 0 };
    const guest = { ...rings, layout: 'shared' as const, features: [VIRTIO_F_VERSION_1] };
    this.#lengths = lengths;
    this.sink = lengths.length;
    const all = [...lengths, 60].map((_, number) => ({ ...guest, ...options(number) }));
    this.wire = new FirmwareWire(all);
    this.wire.postAll();
    // Maps all windows, so that no turn ends because one is missing.
    this.fill();
    this.wire.host.settle();
    this.wire.received(this.sink);
    this.wire.host.nanosecondsPerLook = LOOK_NS;
  }

  /** Batches take so long that no turn empties a ring: what each gets is up to the schedule. */
  slowDown(): void {
    this.wire.host.nanosecondsPerLook = 2 * LOOK_NS;
  }

  send(from: number, frames: number, pair = 0): void {
    const addresses = { to: this.wire.mac(this.sink), from: this.wire.mac(from) };
    const frame = plainFrame(addresses, this.#lengths[from] ?? 60, from);
    for (let i = 0; i < frames; i++) if (!this.wire.send(from, frame, undefined, pair)) return;
  }

  fill(): void {
    for (const from of this.#lengths.keys()) {
      for (const pair of this.wire.guest(from).pairs.keys()) this.send(from, BACKLOG, pair);
    }
  }

  /** Turns during which every ring has a backlog. */
  run(turns: number): void {
    for (let turn = 0; turn < turns; turn++) {
      this.fill();
      this.wire.host.turn();
      this.wire.received(this.sink);
    }
  }

  /** Turns for so long, in ns of the fake clock, which waits for whoever is held. */
  runFor(nanoseconds: number): void {
    const { host } = this.wire;
    const end = host.nanoseconds + nanoseconds;
    while (host.nanoseconds < end) {
      this.run(1);
      const wake = host.firmware.wakeMicroseconds();
      if (wake > 0) host.pass(Math.min(wake * 1000, DRIVER_NS, end - host.nanoseconds));
    }
  }

  /** Of each guest: what `read` has grown by during `work`. */
  during(work: () => void, read: 'bytes' | 'workNanoseconds' | 'packets' = 'bytes'): number[] {
    const now = () => this.#lengths.map((_, guest) => accountOf(this.wire.host, guest)[read]);
    const before = now();
    work();
    return now().map((value, guest) => value - (before[guest] ?? 0));
  }
}
