import { SHARED_BASE, SHARED_RINGS } from '../../layout/memory.ts';
import {
  RING_LAST_AVAIL,
  RING_RECORD_SIZE,
  RING_SIGNALLED_USED,
  RING_USED_INDEX,
  USED_INDEX,
} from '../../layout/virtqueue.ts';
import { distinctPins } from '../memory/pins.ts';
import type { Windows } from '../memory/windows.ts';
import type { AddressSpace } from './address-space.ts';
import type { Command, RingPins } from './commands.ts';
import type { Firmware } from './firmware.ts';
import type { KickWaiter } from './kick-waiter.ts';
import type { UplinkPorts } from './uplink-ports.ts';

interface Parts {
  space: AddressSpace;
  firmware: Firmware;
  windows: Windows;
  waiter: KickWaiter;
  callFds: Int32Array;
  uplinks: UplinkPorts;
}

type AttachRing = Extract<Command, { kind: 'attach-ring' }>;

/**
 * Carries out commands between turns, when no batch is open and nothing points into guest memory.
 */
export class CommandRunner {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  run(command: Command): boolean {
    const { firmware, windows, callFds } = this.#parts;
    switch (command.kind) {
      case 'set-memory':
        windows.setRegions(command.vf, command.regions);
        return true;
      case 'attach-ring':
        this.#attach(command);
        return true;
      case 'detach-ring':
        this.#detach(command.ring, command.pins);
        return true;
      case 'set-ring-state':
        firmware.setRingState(command.ring, command.state);
        return true;
      case 'set-call-fd':
        callFds[command.ring] = command.callFd;
        return true;
      case 'set-port':
        firmware.setPort(command.vf, command.isUp ? 1 : 0);
        return true;
      case 'set-static-mac':
        return firmware.setStatic(command.mac, command.vf) !== 0;
      case 'forget-port':
        firmware.forgetPort(command.vf);
        return true;
      case 'set-mac-age':
        firmware.configureAgeing(command.seconds);
        return true;
      case 'attach-port':
        this.#parts.uplinks.attach(command);
        return true;
      case 'detach-port':
        this.#parts.uplinks.detach(command.vf, command.pair);
        this.#parts.space.unmapPin(command.pin);
        return true;
      case 'inject-trap':
        for (const pin of Object.values(command.pins)) this.#parts.space.unmapPin(pin);
        return true;
      case 'stop':
        return true;
    }
  }

  #attach(command: AttachRing): void {
    const { space, firmware, waiter, callFds } = this.#parts;
    const { descriptors, avail, used } = command.pins;
    for (const pin of distinctPins([descriptors, avail, used])) space.mapPin(pin);
    if (command.resumesFromUsed) this.#resumeFromUsed(command.ring, space.addressOf(used));
    firmware.attachRing(
      command.ring,
      space.addressOf(descriptors),
      space.addressOf(avail),
      space.addressOf(used),
      command.state,
      command.isOwned ? 1 : 0,
    );
    callFds[command.ring] = command.callFd;
    if (command.isOwned && command.kickFd >= 0) waiter.add(command.kickFd, command.ring);
  }

  /**
   * All buffers complete in order, so the guest's own used index is where the ring stands, whatever
   * base the front-end names: after a crash QEMU names it too, and so nothing is lost or done
   * twice.
   */
  #resumeFromUsed(ring: number, used: number): void {
    const view = new DataView(this.#parts.space.memory.buffer);
    const index = view.getUint16(used + USED_INDEX, true);
    const record = SHARED_BASE + SHARED_RINGS + ring * RING_RECORD_SIZE;
    for (const field of [RING_LAST_AVAIL, RING_USED_INDEX, RING_SIGNALLED_USED]) {
      view.setUint32(record + field, index, true);
    }
  }

  #detach(ring: number, pins: RingPins): void {
    const { space, firmware, waiter, callFds } = this.#parts;
    firmware.detachRing(ring);
    waiter.remove(ring);
    callFds[ring] = -1;
    for (const pin of distinctPins(Object.values(pins))) space.unmapPin(pin);
  }
}
