import { RING_FAULT_NONE, RING_FAULT_TRAP } from '../../layout/virtqueue.ts';
import { everyStep, guarded, inBackground } from '../background.ts';
import { LifeCycle } from '../life-cycle.ts';
import { CloseAccount, claimPeerFd, closePeerFd, closePeerFds } from '../os/closer.ts';
import { SHUT_RDWR } from '../os/constants.ts';
import { c } from '../os/libc.ts';
import type { Poller } from '../os/poller.ts';
import {
  ClientEndpoint,
  type Endpoint,
  type EndpointState,
  ServerEndpoint,
  type SocketMode,
} from '../os/unix-endpoint.ts';
import type { ProcessorHealth } from '../processor/fabric.ts';
import type { RingProblem } from '../state/ring-problem.ts';
import { descriptorsIn } from '../state/saved.ts';
import type { Device } from '../vhost-user/device.ts';
import { Dialogue, type DialogueState } from '../vhost-user/dialogue.ts';
import { NOT_SHARED } from '../vhost-user/not-shared.ts';
import { reviewRings } from '../vhost-user/review-rings.ts';
import type { Session } from '../vhost-user/session.ts';
import { FUNCTION_TRANSITIONS } from './function-state.ts';
import { Quarantine, type QuarantineState, type QuarantineTerm } from './quarantine.ts';
import { Refusals } from './refusals.ts';
import type { AttachmentEvent, FunctionState } from './types.ts';

/** The function that owns the attachment and hears of its events. */
export interface AttachmentOwner {
  emit(...event: AttachmentEvent): void;
  /** Health of the processor that serves the function. */
  health(): ProcessorHealth;
  /** A front-end has connected; `fd` is its socket. */
  onBegin(fd: number): void;
  /** A front-end has gone. Returns what to report about that, or null. */
  onEnd(session: Session): string | null;
}

/** Where front-ends connect. */
interface Place {
  socket: string;
  mode: SocketMode;
}

export interface AttachmentState {
  state: FunctionState;
  endpoint: EndpointState;
  dialogue: DialogueState | null;
  waitingFd: number;
  lastFault: string | undefined;
  isFaulted: boolean;
  isOutsideTold: boolean;
  quarantine: QuarantineState;
}

/**
 * Where a VMM attaches to a function of any kind: a socket, one front-end at a time, the state that
 * results from its session and rings, and the events that report all this.
 *
 *     endpoint ─► dialogue (one front-end at a time) ─► session ─► rings of the device
 */
export class Attachment {
  readonly quarantine = new Quarantine((term) => this.#followQuarantine(term));
  readonly #closes = new CloseAccount((reason) => {
    this.warn(reason);
    this.#dialogue?.refuse(reason);
  });
  readonly #device: Device;
  readonly #poller: Poller;
  readonly #owner: AttachmentOwner;
  readonly #cycle: LifeCycle<FunctionState>;
  #endpoint: Endpoint | null = null;
  #dialogue: Dialogue | null = null;
  readonly #refusals = new Refusals();
  /** A front-end that connected while the previous one was still being torn down. */
  #waitingFd = -1;
  #lastFault: string | undefined;
  #isFaulted = false;
  #isOutsideTold = false;

  constructor(device: Device, poller: Poller, owner: AttachmentOwner) {
    this.#device = device;
    this.#poller = poller;
    this.#owner = owner;
    this.#cycle = new LifeCycle<FunctionState>(device.name, FUNCTION_TRANSITIONS, 'down');
  }

  get session(): Session | null {
    return this.#dialogue?.session ?? null;
  }

  get state(): FunctionState {
    return this.#cycle.state;
  }

  /** Why no ring of the device may start, or null. */
  get startProblem(): RingProblem | null {
    const health = this.#owner.health();
    if (health.state !== 'broken') return this.quarantine.problem;
    return { fault: RING_FAULT_NONE, reason: health.reason };
  }

  get lastFault(): string | undefined {
    return this.#lastFault;
  }

  /** Throws an OperatorError if the socket cannot be opened. */
  open(place: Place): void {
    this.#listen(place);
  }

  #listen({ socket, mode }: Place, saved?: EndpointState, isConnected = false): void {
    const listener = {
      closes: this.#closes,
      onConnection: (fd: number) => this.#meet(fd),
      onTrouble: (reason: string) => this.fault(reason),
    };
    this.#endpoint =
      mode === 'server'
        ? new ServerEndpoint(socket, this.#poller, listener, saved)
        : new ClientEndpoint(socket, this.#poller, listener, isConnected);
  }

  save(now: number): AttachmentState {
    return {
      state: this.state,
      endpoint: this.#endpoint?.save() ?? null,
      dialogue: this.#dialogue?.save() ?? null,
      waitingFd: this.#waitingFd,
      lastFault: this.#lastFault,
      isFaulted: this.#isFaulted,
      isOutsideTold: this.#isOutsideTold,
      quarantine: this.quarantine.save(now),
    };
  }

  /** Replaces `open`. `now`: monotonic milliseconds. */
  restore(saved: AttachmentState, now: number, place: Place): void {
    const { state, dialogue, endpoint } = saved;
    for (const fd of descriptorsIn(saved)) claimPeerFd(fd, this.#closes);
    this.#lastFault = saved.lastFault;
    this.#isFaulted = saved.isFaulted;
    this.#isOutsideTold = saved.isOutsideTold;
    this.#waitingFd = saved.waitingFd;
    this.quarantine.restore(saved.quarantine, now, (work) => this.#poller.whenOpen(work));
    this.#listen(place, endpoint, dialogue !== null); // first: whatever fails, it has an owner
    if (dialogue !== null) this.#continue(dialogue);
    if (state !== 'down') this.#to(state);
  }

  #continue(saved: DialogueState): void {
    try {
      this.#dialogue = this.#converse(saved.connection.fd);
    } catch (error) {
      this.#poller.whenOpen(() => this.#giveUp(saved));
      throw error;
    }
    this.#dialogue.restore(saved);
  }

  /** Closes a connection that could not be taken over, so that its front-end connects again. */
  #giveUp(saved: DialogueState): void {
    c.shutdown(saved.connection.fd, SHUT_RDWR);
    closePeerFds(descriptorsIn(saved));
    this.#dropWaiting();
    this.#endpoint?.resume();
  }

  /**
   * The sockets, and everything received through them, now belong to another attachment. Resolves
   * when no message from a front-end is still in progress.
   */
  async handOver(): Promise<void> {
    this.quarantine.handOver();
    this.#endpoint?.handOver();
    // If a dialogue ends meanwhile, the waiting one takes its place.
    for (let last: Dialogue | null = null; this.#dialogue !== last; ) {
      last = this.#dialogue;
      await last?.handOver();
    }
  }

  async close(): Promise<void> {
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    await everyStep(`close the socket of ${this.#device.name}`, [
      () => endpoint?.close(),
      () => this.#dropWaiting(),
      () => this.quarantine.close(),
      () => this.#dialogue?.close(),
    ]);
  }

  async setAside(reason: string): Promise<void> {
    const { rings } = this.#device;
    for (const queue of rings.queues()) {
      await rings.fault(queue, reason);
      this.session?.rings.signalError(queue);
    }
    this.fault(reason);
  }

  /** A processor stopped one of the rings. */
  async onRingFault(queue: number, { fault, reason }: RingProblem): Promise<void> {
    await this.#device.rings.fault(queue, reason);
    this.#tellRingFault(queue, reason);
    if (fault === RING_FAULT_TRAP) this.quarantine.noteTrap(performance.now());
  }

  onUntranslated(iova: bigint, access: number): void {
    this.session?.iommu.miss(iova, access);
  }

  onOutside(address: bigint): void {
    if (this.#isOutsideTold) return;
    this.#isOutsideTold = true;
    this.warn(`a buffer at guest address 0x${address.toString(16)} lies ${NOT_SHARED}`);
  }

  /** `words`: text of the event; null: no event. */
  fault(reason: string, queue?: number, words: string | null = reason): void {
    this.#lastFault = reason;
    // A faulted ring reports this itself, for as long as it is faulted.
    if (queue === undefined) this.#isFaulted = this.#dialogue !== null;
    this.#update();
    if (words === null) return;
    this.#owner.emit('fault', { reason: words, ...(queue === undefined ? {} : { queue }) });
  }

  /** Reports a problem that stops nothing on our side. */
  warn(reason: string): void {
    this.#lastFault = reason;
    this.#owner.emit('fault', { reason });
  }

  #tellRingFault(queue: number, reason: string): void {
    this.session?.rings.signalError(queue);
    this.fault(reason, queue);
  }

  #followQuarantine(term: QuarantineTerm | null): void {
    this.#lastFault = term?.reason ?? this.#lastFault;
    if (term === null) this.#owner.emit('quarantine-end', {});
    else this.#owner.emit('quarantine', term);
    if (this.session !== null) inBackground('stop or start rings', reviewRings(this.session));
  }

  #meet(fd: number): boolean {
    if (this.#dialogue === null) {
      this.#begin(fd);
      return true;
    }
    if (this.#waitingFd !== -1) return false;
    // The end of the last session may be in the same batch of events, after this one. Check after
    // the batch.
    this.#waitingFd = fd;
    setImmediate(() => {
      if (this.#dialogue !== null && !this.#dialogue.isClosing) this.#dropWaiting();
    });
    return true;
  }

  #dropWaiting(): void {
    closePeerFd(this.#waitingFd);
    this.#waitingFd = -1;
  }

  #begin(fd: number): void {
    this.#isFaulted = false;
    this.#isOutsideTold = false;
    this.#owner.onBegin(fd);
    this.#dialogue = this.#converse(fd);
    this.#update();
    this.#owner.emit('connect', {});
  }

  #converse(fd: number): Dialogue {
    return new Dialogue(fd, this.#poller, this.#device, {
      onStateChange: () => this.#update(),
      onReset: () => {
        this.#isFaulted = false;
        this.#update();
        this.#owner.emit('reset', {});
      },
      onRefusal: (reason) => this.fault(reason, undefined, this.#refusals.words(reason)),
      onRingFault: (queue, reason) => this.#tellRingFault(queue, reason),
      onUntranslatable: (iova) => {
        this.#lastFault = `address ${iova.toString(16)} is not translated by the guest's IOMMU`;
      },
      onClosed: (reason) => this.#end(reason),
    });
  }

  #end(closed: string | null): void {
    const vain = this.session === null ? null : this.#owner.onEnd(this.session);
    const reason = closed ?? vain;
    this.#dialogue = null;
    if (reason !== null) this.#lastFault = reason;
    this.#cycle.to('down');
    const untold = this.#refusals.rest();
    if (untold !== null) this.#owner.emit('fault', { reason: untold });
    this.#owner.emit('disconnect', reason === null ? {} : { reason });
    const fd = this.#waitingFd;
    this.#waitingFd = -1;
    const canBegin = fd !== -1 && this.#endpoint !== null;
    if (canBegin && guarded('begin with the next front-end', () => this.#begin(fd))) return;
    closePeerFd(fd);
    this.#endpoint?.resume();
  }

  /** Derives the state from the session and its rings. */
  #update(): void {
    const { session } = this;
    if (session === null) return;
    const { rings } = this.#device;
    const states = rings.queues().map((queue) => rings.state(queue));
    if (this.#isFaulted && states.every((state) => state !== 'faulted')) {
      // A refused request no longer matters once the rings run anyway.
      this.#isFaulted = states.length === 0;
    }
    const before = this.#cycle.state;
    if (states.includes('faulted') || this.#isFaulted) this.#to('faulted');
    else if (session.state === 'running') this.#to('ready');
    else this.#to('connected');
    if (before !== 'ready' && this.#cycle.is('ready')) this.#owner.emit('ready', {});
  }

  #to(state: FunctionState): void {
    if (this.#cycle.is('down')) this.#cycle.to('connected');
    this.#cycle.to(state);
  }
}
