import { RING_VIEWS_BASE } from '../../layout/memory.ts';
import {
  RING_F_PACKED,
  RING_FAULT_PLACE,
  RING_FLAGS,
  RING_KIND_RECEIVE,
  RING_KIND_REQUEST,
  RING_KIND_TRANSMIT,
  RING_LAST_AVAIL,
  RING_SIGNALLED_USED,
  RING_SIZE,
  RING_STOPPED,
  RING_USED_INDEX,
  RING_VIEW_SIZE,
  RING_VIEW_STATE,
  USED_INDEX,
} from '../../layout/virtqueue.ts';
import { distinctPins } from '../memory/pins.ts';
import type { Windows } from '../memory/windows.ts';
import { isFatal } from '../state/last-will.ts';
import { RingFaultError } from '../state/ring-problem.ts';
import type { AddressSpace } from './address-space.ts';
import type { Calls } from './calls.ts';
import type { Firmware } from './firmware.ts';
import type { KickWaiter } from './kick-waiter.ts';
import type { Message, RingPins, RingRole } from './mailbox.ts';
import { firstPlace, isServedBeyond, leaveNote, notedPlace } from './packed-place.ts';
import type { RequestQueues } from './request-queues.ts';
import { ringRecordAt } from './ring-record-at.ts';
import type { Translations } from './translations.ts';
import type { UplinkPorts } from './uplink-ports.ts';

export interface Parts {
  space: AddressSpace;
  firmware: Firmware;
  windows: Windows;
  translations: Translations;
  waiter: KickWaiter;
  calls: Calls;
  uplinks: UplinkPorts;
  requestQueues: RequestQueues;
}

/** The firmware knows kinds, not roles. */
const KINDS: Readonly<Record<RingRole, number>> = {
  receive: RING_KIND_RECEIVE,
  transmit: RING_KIND_TRANSMIT,
  control: RING_KIND_REQUEST,
  request: RING_KIND_REQUEST,
};

type AttachRing = Extract<Message, { kind: 'attach-ring' }>;

/**
 * Carries out messages between turns, when no batch is open and nothing points into guest memory.
 */
export class MessageHandler {
  readonly #parts: Parts;
  /** The attached rings, and where their parts are mapped. */
  readonly #attached = new Map<number, RingPins>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  handle(message: Message): boolean {
    const { firmware, windows, translations, calls } = this.#parts;
    switch (message.kind) {
      case 'set-memory':
        translations.flush(message.owner, message.rings);
        windows.setRegions(message.owner, message.regions, message.isBehindIommu);
        return true;
      case 'set-translations':
        translations.set(message.owner, message.rings, message.translations);
        return true;
      case 'change-iotlb':
        translations.apply(message.owner, message.rings, message.change);
        return true;
      case 'attach-ring':
        this.#attach(message);
        return true;
      case 'detach-ring':
        this.#detach(message.ring, message.leavesNote);
        return true;
      case 'set-ring-state':
        if (this.#attached.has(message.ring)) firmware.setRingState(message.ring, message.state);
        return true;
      case 'set-call':
        if (this.#attached.has(message.ring)) calls.set(message.ring, message.call);
        return true;
      case 'answer-request':
        this.#parts.requestQueues.answer(message.ring, message.id, message.answer);
        return true;
      case 'set-port':
        firmware.setPort(message.port, message.isUp ? 1 : 0);
        return true;
      case 'forget-port':
        firmware.forgetPort(message.port, message.firstSet, message.sets);
        return true;
      case 'set-mac-age':
        firmware.configureAgeing(message.seconds);
        return true;
      case 'promise-changed':
        firmware.changeNode(message.node);
        return true;
      case 'settle':
        return true;
      case 'attach-port':
        this.#parts.uplinks.attach(message);
        return true;
      case 'detach-port':
        this.#parts.uplinks.detach(message.port, message.pair);
        this.#parts.space.unmapPin(message.pin);
        return true;
      case 'inject-trap':
        for (const pin of Object.values(message.pins)) this.#parts.space.unmapPin(pin);
        return true;
      case 'stop':
        return true;
    }
  }

  /** Brings a ring from any state to the desired one, or leaves it detached. */
  #attach(message: AttachRing): void {
    this.#detach(message.ring, false);
    this.#attached.set(message.ring, message.pins);
    try {
      this.#connect(message);
    } catch (error) {
      // The thread ends, and its supervisor takes care of the ring.
      if (!isFatal(error)) this.#detach(message.ring, false);
      throw error;
    }
  }

  #connect(message: AttachRing): void {
    const { space, firmware, waiter, calls } = this.#parts;
    const { descriptors, avail, used } = message.pins;
    for (const pin of distinctPins([descriptors, avail, used])) space.mapPin(pin);
    if (message.resumesFromUsed) this.#resume(message.ring, message.pins);
    firmware.attachRing(
      message.ring,
      space.addressOf(descriptors),
      space.addressOf(avail),
      space.addressOf(used),
      message.state,
      KINDS[message.role],
    );
    calls.set(message.ring, message.call);
    if (message.looksAhead) this.#parts.translations.watch(message.ring, message.owner);
    if (KINDS[message.role] === RING_KIND_REQUEST) this.#parts.requestQueues.attach(message.ring);
    const isAwaited = message.role !== 'receive' && message.kickFd >= 0;
    if (isAwaited) waiter.add(message.kickFd, message.ring);
  }

  /**
   * All buffers complete in order, so the guest's own used index is the ring's position, whatever
   * base the front-end names. QEMU also names it after a crash, so nothing is lost or done twice.
   * Throws a RingFaultError if the position cannot be known.
   */
  #resume(ring: number, pins: RingPins): void {
    const { space } = this.#parts;
    const view = new DataView(space.memory.buffer);
    const record = ringRecordAt(ring);
    const used = space.addressOf(pins.used);
    let place = view.getUint32(record + RING_LAST_AVAIL, true);
    if ((view.getUint32(record + RING_FLAGS, true) & RING_F_PACKED) === 0) {
      place = view.getUint16(used + USED_INDEX, true);
    } else {
      const size = view.getUint32(record + RING_SIZE, true);
      const descriptors = space.addressOf(pins.descriptors);
      const noted = notedPlace(view, used, size);
      place = noted ?? firstPlace(view, descriptors, place);
      if (noted === null && isServedBeyond(view, descriptors, size, place)) {
        throw new RingFaultError(RING_FAULT_PLACE);
      }
    }
    for (const field of [RING_LAST_AVAIL, RING_USED_INDEX, RING_SIGNALLED_USED]) {
      view.setUint32(record + field, place, true);
    }
  }

  /** A packed ring has no index to read. The note tells the next NIC or session its position. */
  #leaveNote(ring: number, used: number): void {
    const view = new DataView(this.#parts.space.memory.buffer);
    const record = ringRecordAt(ring);
    if ((view.getUint32(record + RING_FLAGS, true) & RING_F_PACKED) === 0) return;
    // A ring that was stopped by a fault may no longer be mapped here.
    const state = view.getUint32(RING_VIEWS_BASE + ring * RING_VIEW_SIZE + RING_VIEW_STATE, true);
    if (state === RING_STOPPED) return;
    leaveNote(view, used, view.getUint32(record + RING_LAST_AVAIL, true));
  }

  /** Does nothing for a ring that is not attached. */
  #detach(ring: number, leavesNote: boolean): void {
    const pins = this.#attached.get(ring);
    if (pins === undefined) return;
    this.#attached.delete(ring);
    const { space, firmware, waiter, calls } = this.#parts;
    if (leavesNote) this.#leaveNote(ring, space.addressOf(pins.used));
    firmware.detachRing(ring);
    this.#parts.requestQueues.detach(ring);
    this.#parts.translations.unwatch(ring);
    calls.set(ring, null);
    for (const pin of distinctPins(Object.values(pins))) space.unmapPin(pin);
    waiter.remove(ring); // last, because it may fail
  }
}
