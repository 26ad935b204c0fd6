import { EPOLLET, EPOLLIN, EPOLLOUT } from '../os/constants.ts';
import { Port } from '../wires/port.ts';
import { pairMemory } from '../wires/port-memory.ts';
import { createWire } from '../wires/wires.ts';
import type { AddressSpace } from './address-space.ts';
import type { Firmware } from './firmware.ts';
import type { KickWaiter } from './kick-waiter.ts';
import type { Message } from './mailbox.ts';

type AttachPort = Extract<Message, { kind: 'attach-port' }>;

interface Attached {
  /** Identifies its descriptors in the waiter's events. */
  readonly token: number;
  /** Port number in the switch. */
  readonly number: number;
  readonly pair: number;
  readonly receiveRing: number;
  readonly port: Port;
  readonly callFd: number;
  /** The descriptor that is watched for room, or −1. */
  roomFd: number;
  isReported: boolean;
}

/** Waiter tokens from here downwards identify ports. */
const TOKEN_FIRST = -2;

/** The uplink ports that this processor serves. Their drivers run between its turns. */
export class UplinkPorts {
  readonly #space: AddressSpace;
  readonly #firmware: Firmware;
  readonly #waiter: KickWaiter;
  readonly #onLost: (port: number, reason: string) => void;
  /** An index does not change while in use, because the waiter's token is derived from it. */
  readonly #places: (Attached | null)[] = [];
  /** The same ports without gaps, for the loop. */
  #ports: Attached[] = [];

  constructor(
    space: AddressSpace,
    firmware: Firmware,
    waiter: KickWaiter,
    onLost: (port: number, reason: string) => void,
  ) {
    this.#space = space;
    this.#firmware = firmware;
    this.#waiter = waiter;
    this.#onLost = onLost;
  }

  get count(): number {
    return this.#ports.length;
  }

  /**
   * Does nothing if it is already attached: the uplink may come up while its processor is replaced.
   */
  attach(message: AttachPort): void {
    const { port, pair, pin } = message;
    if (this.#placeOf(port, pair) !== -1) return;
    this.#space.mapPin(pin);
    try {
      this.#open(message);
    } catch (error) {
      this.detach(port, pair);
      this.#space.unmapPin(pin);
      throw error;
    }
  }

  #placeOf(number: number, pair: number): number {
    return this.#places.findIndex((one) => one?.number === number && one.pair === pair);
  }

  #open({ port: number, pair, receiveRing, pin, wire, mtu, callFd }: AttachPort): void {
    const { memory } = this.#space;
    const room = { start: this.#space.addressOf(pin), sizeBytes: pin.lengthBytes };
    const region = pairMemory(memory.buffer, memory.base, room, pair);
    const port = new Port(region, createWire(wire, region), mtu);
    port.disarm();
    const free = this.#places.indexOf(null);
    const place = free === -1 ? this.#places.length : free;
    const token = TOKEN_FIRST - place;
    const names = { token, number, pair, receiveRing };
    const attached = { ...names, port, callFd, roomFd: -1, isReported: false };
    this.#places[place] = attached;
    this.#lend(attached);
    const { fd } = port.wire;
    if (fd >= 0) this.#waiter.watch(fd, token, EPOLLIN | EPOLLET);
    this.#waiter.watch(callFd, token, EPOLLIN | EPOLLET);
    this.#list();
  }

  /** Closes a port's wire. Frames that wait for it are counted as lost. */
  detach(number: number, pair: number): void {
    const place = this.#placeOf(number, pair);
    const attached = this.#places[place];
    if (attached === undefined || attached === null) return;
    const { port, callFd, receiveRing } = attached;
    this.#firmware.setLending(receiveRing, 0);
    port.discard();
    if (attached.roomFd !== -1) this.#forgetRoom(attached);
    port.wire.close?.();
    if (port.wire.fd >= 0) this.#waiter.unwatch(port.wire.fd);
    this.#waiter.unwatch(callFd);
    this.#places[place] = null;
    this.#list();
  }

  /** From the wires to the switch, for which the uplink pays. Returns the frames taken. */
  pull(): number {
    let frames = 0;
    for (const attached of this.#ports) {
      this.#firmware.beginHostWork();
      const pulled = attached.port.pull();
      const uplink = this.#firmware.functionOf(attached.receiveRing);
      if (pulled !== 0) this.#firmware.chargeHostWork(uplink);
      frames += pulled;
    }
    return frames;
  }

  /** From the switch to the wires. Returns the frames settled. */
  push(): number {
    let frames = 0;
    for (const attached of this.#ports) {
      this.#firmware.beginHostWork();
      const settled = attached.port.push();
      frames += settled;
      const isFull = attached.port.isBlocked && attached.port.sleepMilliseconds === Infinity;
      const isNewlyFull = isFull && attached.roomFd === -1;
      if (isNewlyFull) this.#watchRoom(attached);
      if (attached.port.wire.failure !== null) this.#lose(attached);
      this.#lend(attached);
      if (settled !== 0 || isNewlyFull) this.#firmware.chargeServed();
    }
    return frames;
  }

  /** Set anew each time, because the firmware subtracts what it lends. */
  #lend({ receiveRing, port }: Attached): void {
    this.#firmware.setLending(receiveRing, port.lendableBytes);
  }

  /** In mid-turn: what is lent is sent now, or not at all. */
  sendLent(): void {
    this.push();
    for (const { port } of this.#ports) port.endLoan();
  }

  /** Before sleep. True if a port has work. */
  arm(): boolean {
    let isBusy = false;
    for (const { port } of this.#ports) if (port.arm()) isBusy = true;
    return isBusy;
  }

  /** Sleep limit in milliseconds; −1: none. */
  sleepMilliseconds(): number {
    let shortest = Infinity;
    for (const { port } of this.#ports) shortest = Math.min(shortest, port.sleepMilliseconds);
    return shortest === Infinity ? -1 : Math.ceil(shortest);
  }

  disarm(): void {
    for (const { port } of this.#ports) port.disarm();
  }

  /**
   * An event of the waiter: a wire is readable, has room or has ended, or frames were delivered.
   */
  onEvent(token: number, events: number): void {
    const attached = this.#places[TOKEN_FIRST - token];
    if (attached === undefined || attached === null) return;
    if ((events & ~EPOLLOUT) !== 0) attached.port.wire.isReadable = true;
    if ((events & EPOLLOUT) === 0 || attached.roomFd === -1) return;
    attached.port.isBlocked = false;
    this.#forgetRoom(attached);
  }

  /** A new or changed epoll watch reports the current state, so no earlier edge is missed. */
  #watchRoom(attached: Attached): void {
    const { fd, roomFd = fd } = attached.port.wire;
    if (fd < 0) return;
    attached.roomFd = roomFd;
    if (roomFd === fd) this.#waiter.change(fd, EPOLLIN | EPOLLOUT | EPOLLET);
    else this.#waiter.watch(roomFd, attached.token, EPOLLOUT | EPOLLET);
  }

  #forgetRoom(attached: Attached): void {
    const { fd } = attached.port.wire;
    if (attached.roomFd === fd) this.#waiter.change(fd, EPOLLIN | EPOLLET);
    else this.#waiter.unwatch(attached.roomFd);
    attached.roomFd = -1;
  }

  #lose(attached: Attached): void {
    if (attached.isReported) return;
    attached.isReported = true;
    this.#onLost(attached.number, attached.port.wire.failure ?? 'lost');
  }

  #list(): void {
    this.#ports = this.#places.filter((one) => one !== null);
  }
}
