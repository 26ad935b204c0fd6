import { RING_STOPPED } from '../../layout/virtqueue.ts';
import type { MemoryRegion } from '../../src/memory/guest-memory.ts';
import { Iotlb } from '../../src/memory/iotlb.ts';
import { descriptorName } from '../../src/os/descriptor.ts';
import type { Message } from '../../src/processor/mailbox.ts';
import type { ProcessorHandle, ProcessorListener } from '../../src/processor/processor.ts';

type Of<Kind extends Message['kind']> = Extract<Message, { kind: Kind }>;

interface KnownRing {
  place: string;
  state: number;
  call: number;
}

/** A processor's knowledge, gained from its messages. */
export class Knowledge {
  readonly rings = new Map<number, KnownRing>();
  /** Messages that no processor may receive. */
  readonly violations: string[] = [];
  readonly #memory = new Map<number, string>();
  readonly #ports = new Map<number, boolean>();
  readonly #wires = new Set<string>();
  readonly #iotlb = new Iotlb();
  readonly #owners = new Set<number>();

  apply(message: Message): void {
    switch (message.kind) {
      case 'set-memory':
        this.#iotlb.flush(message.owner);
        this.#setMemory(message);
        return;
      case 'set-translations':
        this.#iotlb.restore(message.owner, message.translations);
        this.#owners.add(message.owner);
        return;
      case 'change-iotlb':
        this.#iotlb.apply(message.owner, message.change);
        this.#owners.add(message.owner);
        return;
      case 'attach-ring':
        this.#attach(message);
        return;
      case 'detach-ring':
        this.rings.delete(message.ring);
        return;
      case 'set-ring-state':
        this.#change(message.ring, { state: message.state });
        return;
      case 'set-call':
        this.#change(message.ring, { call: message.call?.fd ?? -1 });
        return;
      case 'set-port':
        this.#ports.set(message.port, message.isUp);
        return;
      case 'attach-port':
        this.#wires.add(`${message.port}/${message.pair}`);
        return;
      case 'detach-port':
        this.#wires.delete(`${message.port}/${message.pair}`);
        return;
      default:
        return;
    }
  }

  /** Rings that the processor would serve. */
  running(): number[] {
    return [...this.rings]
      .filter(([, { state }]) => state !== RING_STOPPED)
      .map(([ring]) => ring)
      .sort((a, b) => a - b);
  }

  /** All of it except translations, for comparisons. Rings that are not served count as gone. */
  summary(): string[] {
    return [
      ...[...this.#memory].map(([owner, memory]) => `memory of ${owner}: ${memory}`),
      ...this.running().map((ring) => `ring ${ring}: ${JSON.stringify(this.rings.get(ring))}`),
      ...[...this.#ports].filter(([, isUp]) => isUp).map(([port]) => `port ${port} is up`),
      ...[...this.#wires].map((wire) => `wire ${wire}`),
    ];
  }

  translations(): string[] {
    return [...this.#owners].flatMap((owner) =>
      this.#iotlb
        .save(owner)
        .map(({ iova, sizeBytes, guestAddress, access }) =>
          [owner, iova, sizeBytes, guestAddress, access].join('/'),
        ),
    );
  }

  #setMemory({ owner, regions, isBehindIommu }: Of<'set-memory'>): void {
    if (regions.length === 0 && !isBehindIommu) this.#memory.delete(owner);
    else this.#memory.set(owner, JSON.stringify([regions.map(placeOf), isBehindIommu]));
  }

  #attach({ ring, pins, role, kickFd, call, state, looksAhead }: Of<'attach-ring'>): void {
    if (this.rings.has(ring)) this.violations.push(`ring ${ring} is attached twice`);
    const place = JSON.stringify([pins, role, kickFd, looksAhead]);
    this.rings.set(ring, { place, state, call: call?.fd ?? -1 });
  }

  #change(ring: number, change: Partial<KnownRing>): void {
    const known = this.rings.get(ring);
    if (known !== undefined) this.rings.set(ring, { ...known, ...change });
  }
}

interface Posted {
  message: Message;
  /** The files behind its descriptors when it was posted. */
  names: string;
  settle(result: boolean): void;
  fail(error: Error): void;
}

/** A processor without a thread: it handles messages, fails and dies when a test says so. */
export class ScriptedProcessor implements ProcessorHandle {
  readonly knowledge = new Knowledge();
  isAlive = true;
  readonly #listener: ProcessorListener;
  readonly #posted: Posted[] = [];
  #death: { ring: number; message: string } | null = null;
  #announceEnd: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => {
    this.#announceEnd = resolve;
  });

  constructor(listener: ProcessorListener) {
    this.#listener = listener;
  }

  get waiting(): number {
    return this.#posted.length;
  }

  get isDying(): boolean {
    return this.#death !== null;
  }

  async started(): Promise<void> {}

  ended(): Promise<void> {
    return this.#ended;
  }

  post(message: Message): Promise<boolean> {
    if (!this.isAlive || this.isDying) return Promise.resolve(false);
    return new Promise((settle, fail) => {
      this.#posted.push({ message, names: namesIn(message), settle, fail });
    });
  }

  /** Handles the next message, or fails on it with `error`. */
  take(error: Error | null = null): void {
    const posted = this.#posted.shift();
    if (posted === undefined) return;
    const { message, names, settle, fail } = posted;
    const canFail = message.kind === 'attach-ring' || message.kind === 'attach-port';
    if (error !== null && canFail) {
      fail(error);
      return;
    }
    if (namesIn(message) !== names) {
      this.knowledge.violations.push(`${message.kind} names a descriptor that has been closed`);
    }
    this.knowledge.apply(message);
    settle(true);
  }

  /** The firmware has trapped (−1: our own code failed); the thread is about to end. */
  trap(ring: number): void {
    this.#death = { ring, message: 'scripted' };
  }

  /** The thread has ended. */
  end(): void {
    this.isAlive = false;
    for (const { settle } of this.#posted.splice(0)) settle(false);
    if (this.#death !== null) this.#listener.onDeath(this.#death);
    this.#announceEnd();
  }

  async stop(): Promise<void> {
    if (!this.isAlive) return;
    this.#death = null;
    this.end();
  }
}

/** A processor does not need to know how often a front-end has added a region. */
function placeOf({ uses: _, ...place }: MemoryRegion): object {
  return place;
}

function namesIn(message: Message): string {
  if (message.kind !== 'attach-ring') return '';
  const { kickFd, call, pins } = message;
  const fds = [kickFd, call?.fd ?? -1, ...Object.values(pins).map(({ fd }) => fd)];
  return fds.map((fd) => (fd < 0 ? '' : descriptorName(fd))).join();
}
