// Guests that compete for one processor, on a clock that their frames drive: each look at it costs
// what the copies since the last look would take, as in the model that the schedule was designed
// with. Guests act at each look, while the processor works.

import { COUNTER_BYTES, COUNTER_OFFERED } from '../../layout/counters.ts';
import { VIRTIO_F_VERSION_1 } from '../../layout/virtio.ts';
import { BROADCAST, plainFrame } from '../../src/testing/frames.ts';
import { FirmwareWire } from './firmware-wire.ts';
import { accountOf } from './promises.ts';

/** ns of a batch, of each copy, and the shift from its bytes to ns. */
const LOOK_NS = 300;
const COPY_NS = 25;
const BYTES_SHIFT = 3;
const SLOTS = 300;
/** All that a turn may have for it: nobody waits for its buffers. */
const SINK_RINGS = { queueSize: 1024, slots: 1000 };
const WARM_UP = 8;
/** Windows of all guests, so that none is missed. */
const SLOT_COUNT = 512;

export interface Trader {
  /** Of its frames. */
  readonly bytes: number;
  readonly pairs?: number;
  /** It sends to all instead of to the sink. */
  readonly isBroadcasting?: boolean;
  /** Frames that it keeps on each of its rings; default: as many as they hold. */
  readonly backlog?: number;
  /** Whether it sends at this time, in ns since the start; default: always. */
  readonly isOpen?: (nanoseconds: number) => boolean;
}

export class Market {
  readonly wire: FirmwareWire;
  readonly #traders: readonly Trader[];
  readonly #frames: readonly Uint8Array[];
  readonly #receiveRings: readonly number[];
  #offered = 0;
  #bytes = 0;
  /** What guests do while the processor works. */
  act: () => void = () => {};

  constructor(traders: readonly Trader[]) {
    const rings = { queueSize: 512, slots: SLOTS, indirectShare: 0, layout: 'shared' as const };
    const senders = traders.map(({ pairs = 1 }) => ({
      ...rings,
      ...{ features: [VIRTIO_F_VERSION_1], queuePairs: pairs, slots: pairs > 4 ? 64 : SLOTS },
    }));
    const guests = [...senders, { ...rings, features: [VIRTIO_F_VERSION_1], ...SINK_RINGS }];
    this.#traders = traders;
    this.wire = new FirmwareWire(guests, { slotCount: SLOT_COUNT });
    this.wire.postAll();
    this.#frames = traders.map(({ bytes, isBroadcasting }, from) => {
      const to = isBroadcasting ? BROADCAST : this.wire.mac(traders.length);
      return plainFrame({ to, from: this.wire.mac(from) }, bytes, from);
    });
    const { host } = this.wire;
    this.#receiveRings = guests.map((_, number) => host.ringNumber(number, 0));
    for (const from of traders.keys()) this.#fill(from, WARM_UP); // maps the windows
    host.settle();
    this.wire.received(traders.length);
    this.#copied();
    host.costOfLook = () => {
      this.act();
      return LOOK_NS + this.#copied();
    };
    this.start = host.nanoseconds;
  }

  readonly start: number;

  get now(): number {
    return this.wire.host.nanoseconds - this.start;
  }

  /** Runs for so many ns. `each` is called after every turn. */
  run(nanoseconds: number, each = (): void => {}): void {
    const { host } = this.wire;
    const end = host.nanoseconds + nanoseconds;
    while (host.nanoseconds < end) {
      for (const from of this.#traders.keys()) this.#fill(from);
      const before = host.nanoseconds;
      host.turn();
      this.wire.received(this.#traders.length);
      each();
      if (host.nanoseconds - before > LOOK_NS * 2) continue;
      const wake = host.firmware.wakeMicroseconds();
      host.pass(Math.min(wake > 0 ? wake * 1000 : 1000, end - host.nanoseconds, 100_000));
    }
  }

  had(guest: number, what: 'bytes' | 'workNanoseconds' = 'workNanoseconds'): number {
    return accountOf(this.wire.host, guest)[what];
  }

  all(what: 'bytes' | 'workNanoseconds' = 'workNanoseconds'): number[] {
    return [...this.#traders.keys()].map((guest) => this.had(guest, what));
  }

  #fill(from: number, most = SLOTS): void {
    const { isOpen, backlog = SLOTS } = this.#traders[from]!;
    if (isOpen !== undefined && !isOpen(this.now)) return;
    for (const { transmit } of this.wire.guest(from).pairs) {
      transmit.reclaim();
      let room = Math.min(backlog, most) - transmit.outstanding;
      while (room > 0 && transmit.trySend(this.#frames[from]!)) room--;
      transmit.ring.publish();
    }
  }

  /** ns that the copies since the last call take. */
  #copied(): number {
    const { shared } = this.wire.host;
    let [offered, bytes] = [0, 0];
    for (const ring of this.#receiveRings) {
      offered += shared.counter(ring, COUNTER_OFFERED);
      bytes += shared.counter(ring, COUNTER_BYTES);
    }
    const cost = (offered - this.#offered) * COPY_NS + (bytes - this.#bytes) / 2 ** BYTES_SHIFT;
    [this.#offered, this.#bytes] = [offered, bytes];
    return Math.round(cost);
  }

  close(): void {
    this.wire.close();
  }
}
