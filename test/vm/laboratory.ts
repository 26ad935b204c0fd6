// A NIC with real Linux guests, for tests. Everything is in one temporary directory, which
// `close()` removes.

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'vitest';
import { Guest } from '../../src/demo/guest/guest.ts';
import type { GuestOptions } from '../../src/demo/guest/options.ts';
import { missingForGuests } from '../../src/demo/guest/requirements.ts';
import type { VfConfigInput } from '../../src/functions/net/config.ts';
import { createNic, type Nic, type NicConfigInput } from '../../src/index.ts';

export interface LaboratoryOptions {
  /** Number of guests to start with: vm1, vm2 … */
  readonly guests: number;
  /** Whether the NIC listens on the sockets or connects to them. */
  readonly mode?: 'server' | 'client';
  readonly queuePairs?: number;
  readonly memoryMiB?: number;
  /** Options of single guests, by name. */
  readonly special?: Readonly<Record<string, Special>>;
}

export interface Special {
  readonly vf?: Partial<VfConfigInput>;
  readonly guest?: Partial<GuestOptions>;
}

/** A guest with packed rings. */
export const PACKED: Special = { guest: { deviceProperties: ['packed=on'] } };

const missing = missingForGuests();

/** Whether this machine can run the VM tests at all. */
export const canRunGuests = missing.length === 0;

/** For `beforeEach`: skips the test, with a reason, if guests cannot run here. */
export function skipWithoutGuests({ skip }: TestContext): void {
  skip(!canRunGuests, `virtual machines need ${missing.join(', ')}`);
}

/** Memory in free huge pages of 2 MiB. */
export function freeHugePagesMiB(): number {
  const match = readFileSync('/proc/meminfo', 'utf8').match(/HugePages_Free:\s+(\d+)/);
  return Number(match?.[1] ?? 0) * 2;
}

export class Laboratory {
  readonly #directory: string;
  readonly #options: LaboratoryOptions;
  readonly #guests = new Map<string, Guest>();
  readonly #config: NicConfigInput;
  #nic: Nic;

  static async open(options: LaboratoryOptions): Promise<Laboratory> {
    const directory = await mkdtemp(join(tmpdir(), 'heddle-vm-'));
    const names = Array.from({ length: options.guests }, (_, index) => `vm${index + 1}`);
    const config = { name: 'nic0', vfs: names.map((name) => vfConfig(name, directory, options)) };
    const nic = await createNic(config).catch(async (error: unknown) => {
      await rm(directory, { recursive: true });
      throw error;
    });
    const lab = new Laboratory(directory, options, config, nic);
    try {
      await Promise.all(names.map((name) => lab.boot(name)));
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  private constructor(
    directory: string,
    options: LaboratoryOptions,
    config: NicConfigInput,
    nic: Nic,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#config = config;
    this.#nic = nic;
  }

  get nic(): Nic {
    return this.#nic;
  }

  guest(name: string): Guest {
    const guest = this.#guests.get(name);
    if (guest === undefined) throw new Error(`The laboratory has no guest ${name}`);
    return guest;
  }

  /** Adds a VF to the running NIC and a guest to the VF. */
  async add(name: string, extra: Partial<GuestOptions> = {}): Promise<Guest> {
    await this.#nic.addVf(vfConfig(name, this.#directory, this.#options));
    return this.boot(name, extra);
  }

  /** Starts a guest on an existing VF. */
  async boot(name: string, extra: Partial<GuestOptions> = {}): Promise<Guest> {
    const { mac, socket, mode, queuePairs } = this.#nic.vf(name);
    const guest = new Guest({
      ...{ name, mac, socket, queuePairs, address: `${addressOf(name)}/24` },
      socketMode: mode === 'server' ? 'client' : 'server',
      ...(this.#options.memoryMiB === undefined ? {} : { memoryMiB: this.#options.memoryMiB }),
      ...this.#options.special?.[name]?.guest,
      ...extra,
    });
    this.#guests.set(name, guest);
    await guest.booted();
    return guest;
  }

  /** Starts a guest without a VF: it shares no memory, and is connected through an uplink. */
  async neighbour(name: string, netdev: string): Promise<Guest> {
    const mac = `02:00:00:00:00:${name.slice(2).padStart(2, '0')}`;
    const address = `${addressOf(name)}/24`;
    const guest = new Guest({ name, mac, address, socket: '', memory: 'private', netdev });
    this.#guests.set(name, guest);
    await guest.booted();
    return guest;
  }

  /** The path of a socket of this laboratory. */
  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Closes the NIC and creates it again from the same configuration, as an upgrade would. */
  async restartNic(): Promise<void> {
    await this.#nic.close();
    this.#nic = await createNic(this.#config);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#guests.values()].map((guest) => guest.close()));
    await this.#nic.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** vm7 is 10.0.0.7. */
export function addressOf(name: string): string {
  return `10.0.0.${name.slice(2)}`;
}

function vfConfig(name: string, directory: string, options: LaboratoryOptions) {
  const { mode = 'server', queuePairs = 1 } = options;
  const special = options.special?.[name]?.vf;
  return { name, socket: join(directory, `${name}.sock`), mode, queuePairs, ...special };
}
