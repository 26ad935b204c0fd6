import { RING_STOPPED } from '../../layout/virtqueue.ts';
import type { MemoryRegion } from '../../src/memory/guest-memory.ts';
import { Iotlb } from '../../src/memory/iotlb.ts';
import { descriptorName } from '../../src/os/descriptor.ts';
import type { Command } from '../../src/processor/commands.ts';
import type { ProcessorHandle, ProcessorListener } from '../../src/processor/processor.ts';

type Of<Kind extends Command['kind']> = Extract<Command, { kind: Kind }>;

interface KnownRing {
  place: string;
  state: number;
  call: number;
}

/** What a processor knows after the commands that it has taken. */
export class Knowledge {
  readonly rings = new Map<number, KnownRing>();
  /** What no processor may be told. */
  readonly violations: string[] = [];
  readonly #memory = new Map<number, string>();
  readonly #ports = new Map<number, boolean>();
  readonly #wires = new Set<string>();
  readonly #iotlb = new Iotlb();
  readonly #owners = new Set<number>();

  apply(command: Command): void {
    switch (command.kind) {
      case 'set-memory':
        this.#iotlb.flush(command.owner);
        this.#setMemory(command);
        return;
      case 'set-translations':
        this.#iotlb.restore(command.owner, command.translations);
        this.#owners.add(command.owner);
        return;
      case 'change-iotlb':
        this.#iotlb.apply(command.owner, command.change);
        this.#owners.add(command.owner);
        return;
      case 'attach-ring':
        this.#attach(command);
        return;
      case 'detach-ring':
        this.rings.delete(command.ring);
        return;
      case 'set-ring-state':
        this.#change(command.ring, { state: command.state });
        return;
      case 'set-call':
        this.#change(command.ring, { call: command.call?.fd ?? -1 });
        return;
      case 'set-port':
        this.#ports.set(command.port, command.isUp);
        return;
      case 'attach-port':
        this.#wires.add(`${command.port}/${command.pair}`);
        return;
      case 'detach-port':
        this.#wires.delete(`${command.port}/${command.pair}`);
        return;
      default:
        return;
    }
  }

  /** Rings that it would serve. */
  running(): number[] {
    return [...this.rings]
      .filter(([, { state }]) => state !== RING_STOPPED)
      .map(([ring]) => ring)
      .sort((a, b) => a - b);
  }

  /** All of it, without translations, to be compared: what it does not serve is as good as gone. */
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
  command: Command;
  /** What its descriptors were when it was posted. */
  names: string;
  settle(result: boolean): void;
  fail(error: Error): void;
}

/** A processor without a thread: it takes commands, fails and dies when a test wants it to. */
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

  post(command: Command): Promise<boolean> {
    if (!this.isAlive || this.isDying) return Promise.resolve(false);
    return new Promise((settle, fail) => {
      this.#posted.push({ command, names: namesIn(command), settle, fail });
    });
  }

  /** Takes the next command; with an error it fails of it. */
  take(error: Error | null = null): void {
    const posted = this.#posted.shift();
    if (posted === undefined) return;
    const { command, names, settle, fail } = posted;
    const canFail = command.kind === 'attach-ring' || command.kind === 'attach-port';
    if (error !== null && canFail) {
      fail(error);
      return;
    }
    if (namesIn(command) !== names) {
      this.knowledge.violations.push(`${command.kind} names what was closed meanwhile`);
    }
    this.knowledge.apply(command);
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

/** How often a front-end has named a region is none of a processor's business. */
function placeOf({ uses: _, ...place }: MemoryRegion): object {
  return place;
}

function namesIn(command: Command): string {
  if (command.kind !== 'attach-ring') return '';
  const { kickFd, call, pins } = command;
  const fds = [kickFd, call?.fd ?? -1, ...Object.values(pins).map(({ fd }) => fd)];
  return fds.map((fd) => (fd < 0 ? '' : descriptorName(fd))).join();
}
