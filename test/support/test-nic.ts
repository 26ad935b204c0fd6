import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { VfConfigInput } from '../../src/functions/net/config.ts';
import type { VfStats } from '../../src/functions/net/types.ts';
import { createNic, restoreNic } from '../../src/nic/nic.ts';
import type { Nic, NicEventName, NicEvents, NicState } from '../../src/nic/types.ts';
import { macOf } from '../../src/testing/frames.ts';
import { FrontEnd } from '../../src/testing/front-end.ts';
import { MockGuest, type MockGuestOptions, type Orphan } from '../../src/testing/mock-guest.ts';
import { watchProcessor } from '../../src/watchdog/watchdog.ts';
import { untilBalanced, untilPortsBalanced } from './assert-balanced.ts';
import { failToRestore } from './fail-to-restore.ts';
import { withOtherDescriptors } from './file-descriptors.ts';

export interface TestNicOptions {
  processors?: number;
  vfs?: number;
  /** Settings of all VFs, besides name, socket and MAC. */
  vf?: Partial<VfConfigInput>;
  /** Entropy devices: `rng0`, `rng1` … */
  rngs?: number;
}

let isWatchdogKept = false;

/**
 * Lets the watchdog watch a thread that never starts, so that the watchdog's thread lives as long
 * as the test file. Otherwise each NIC would start and end one.
 */
function keepWatchdog(): void {
  if (!isWatchdogKept) watchProcessor({ name: 'nobody' });
  isWatchdogKept = true;
}

/**
 * A whole NIC with its sockets in a temporary directory. VF n is `vf<n>` with the address
 * `macOf(n + 1)`.
 */
export class TestNic {
  readonly directory: string;
  #nic: Nic;
  readonly #guests: MockGuest[] = [];
  /** Connections that did not become guests. */
  readonly #strangers: FrontEnd[] = [];

  private constructor(nic: Nic, directory: string) {
    this.#nic = nic;
    this.directory = directory;
  }

  static async start(options: TestNicOptions = {}): Promise<TestNic> {
    const directory = mkdtempSync(join(tmpdir(), 'heddle-test-'));
    const vfs = Array.from({ length: options.vfs ?? 2 }, (_, number) => ({
      name: `vf${number}`,
      socket: join(directory, `${number}.sock`),
      mac: macOf(number + 1),
      ...options.vf,
    }));
    const rngs = Array.from({ length: options.rngs ?? 0 }, (_, number) => ({
      name: `rng${number}`,
      socket: join(directory, `rng${number}.sock`),
    }));
    keepWatchdog();
    const processors = options.processors ?? 1;
    const nic = await createNic({ name: 'test', processors, vfs, rngs });
    return new TestNic(nic, directory);
  }

  get nic(): Nic {
    return this.#nic;
  }

  /**
   * Replaces this NIC by another one that is made from its state, by default with other descriptors
   * of the same files, as in another process. `meanwhile` is called while there is no NIC,
   * with the state that will be restored.
   * `failsFirst`: two attempts fail before one succeeds.
   */
  async succeed({
    isSameProcess = false,
    failsFirst = false,
    meanwhile = (_state: NicState): void => {},
  } = {}): Promise<void> {
    const saved = await this.#nic.handOver();
    const state = isSameProcess ? saved : withOtherDescriptors(saved);
    meanwhile(state);
    if (failsFirst) await failToRestore(state);
    this.#nic = await restoreNic(state);
  }

  socket(number: number): string {
    return join(this.directory, `${number}.sock`);
  }

  rngSocket(number: number): string {
    return join(this.directory, `rng${number}.sock`);
  }

  mac(number: number): string {
    return macOf(number + 1);
  }

  async connect(number: number, options: MockGuestOptions = {}): Promise<MockGuest> {
    const frontEnd = FrontEnd.connect(this.socket(number));
    this.#strangers.push(frontEnd);
    const guest = await MockGuest.attach(frontEnd, { seed: number + 1, ...options });
    this.#strangers.pop();
    this.#guests.push(guest);
    return guest;
  }

  /** Connects a guest that has lost its connection. */
  async adopt(number: number, orphan: Orphan): Promise<MockGuest> {
    const guest = await MockGuest.adopt(this.socket(number), orphan);
    this.#guests.push(guest);
    return guest;
  }

  /** Resolves at the next event of this kind for a VF with a matching reason. */
  next(event: NicEventName, number: number, reason = /^/): Promise<void> {
    return new Promise((resolve) => {
      const listener = (detail: NicEvents[NicEventName]): void => {
        if (!('vf' in detail) || detail.vf !== `vf${number}`) return;
        if (!reason.test(('reason' in detail && detail.reason) || '')) return;
        this.nic.off(event, listener);
        resolve();
      };
      this.nic.on(event, listener);
    });
  }

  /** Closes a guest and waits until the NIC has released everything it held. */
  async disconnect(number: number, guest: MockGuest): Promise<void> {
    const gone = this.next('disconnect', number);
    guest.close();
    await gone;
  }

  stats(number: number): VfStats {
    const stats = this.nic.stats().vfs.find(({ name }) => name === `vf${number}`);
    if (stats === undefined) throw new Error(`assertion: no VF ${number}`);
    return stats;
  }

  /** Closes the connection of a guest that has not finished its handshake. */
  async reset(number: number): Promise<void> {
    const gone = this.next('disconnect', number);
    for (const frontEnd of this.#strangers.splice(0)) frontEnd.close();
    await gone;
  }

  /** A counter by its path: `tx.packets`, `rx.drops.ringFull`. */
  counter(number: number, path: string): number {
    let value: unknown = this.stats(number);
    for (const key of path.split('.')) value = (value as Record<string, unknown>)[key];
    if (typeof value !== 'number') throw new Error(`assertion: no counter ${path}`);
    return value;
  }

  /** All non-zero drops of a VF. */
  drops(number: number): Record<string, number> {
    const { tx, rx } = this.stats(number);
    const entries = [
      ...Object.entries(tx.drops).map(([name, count]) => [`tx.${name}`, count] as const),
      ...Object.entries(rx.drops).map(([name, count]) => [`rx.${name}`, count] as const),
    ];
    return Object.fromEntries(entries.filter(([, count]) => count > 0));
  }

  untilBalanced(): Promise<void> {
    return untilBalanced(this.nic);
  }

  /** Services every guest's rings once more. Throws if a check fails there. */
  checkGuests(): void {
    for (const guest of this.#guests) if (!guest.frontEnd.isClosed) guest.poll();
  }

  /**
   * Ends a test: checks every guest and every counter once more. The NIC is closed in any case,
   * since it would otherwise interfere with the next test through the names of its interfaces.
   */
  async finish({ isPortGone = false } = {}): Promise<void> {
    try {
      this.checkGuests();
      await (isPortGone ? untilPortsBalanced : untilBalanced)(this.nic);
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    for (const guest of this.#guests) if (!guest.frontEnd.isClosed) guest.close();
    for (const frontEnd of this.#strangers) frontEnd.close();
    await this.nic.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
