import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { LEARNED_PER_UPLINK_MAX, PORT_COUNT_MAX } from '../../layout/limits.ts';
import { SHARED_FDB } from '../../layout/memory.ts';
import { PORT_LEARNED_COUNT, PORT_LEARNED_MAX, PORT_UNLEARNED } from '../../layout/port.ts';
import { FDB_FAR, FDB_SET_COUNT, FDB_SET_SIZE } from '../../layout/switch.ts';
import { placeOf, readMacTable } from '../../src/state/mac-table.ts';
import { SharedState } from '../../src/state/shared-state.ts';
import { FirmwareHost } from '../support/firmware-host.ts';

const PROCESSORS = 2;
const ROUNDS = 400_000;
const PORTS = 6;
const AGE = 3;

/** Addresses with a few adjacent homes, twice as many as the homes have room for. */
function crowd(homes: number, count: number): bigint[] {
  const addresses: bigint[] = [];
  for (let number = 0n; addresses.length < count; number++) {
    const address = (number << 8n) | 2n;
    if (placeOf(address).set < homes) addresses.push(address);
  }
  return addresses;
}

/** A worker that learns, moves and forgets the same addresses as the others, as fast as it can. */
const HAMMER = `
const { workerData, parentPort } = require('node:worker_threads');
const { dist, index, processors, sharedFd, addresses, ports, rounds, age } = workerData;
const load = (path) => import(new URL(path, dist).href);
(async () => {
  const { AddressSpace } = await load('src/processor/address-space.js');
  const { readFirmware, loadFirmware } = await load('src/processor/firmware.js');
  const { REGISTERS_BASE } = await load('layout/memory.js');
  const { REGISTER_NOW_SECONDS, REGISTER_BATCH_STAMP } = await load('layout/processor.js');
  const space = new AddressSpace(sharedFd);
  const firmware = loadFirmware(readFirmware(), space.memory);
  firmware.configure(index, processors, age);
  const registers = new Uint32Array(space.memory.buffer, REGISTERS_BASE, 64);
  let state = index + 1;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  parentPort.once('message', () => {
    for (let round = 0; round < rounds; round++) {
      registers[REGISTER_NOW_SECONDS / 4] = 1000 + Math.floor(round / 5000);
      registers[REGISTER_BATCH_STAMP / 4] = round + 1;
      const address = addresses[random(addresses.length)];
      const port = 1 + random(ports);
      const deed = random(100);
      if (deed === 0) firmware.forgetPort(port, 0, 64);
      else if (deed === 1) firmware.setStatic(address, port);
      else firmware.learn(address, port, 0n);
    }
    parentPort.postMessage('done');
    parentPort.close();
  });
  parentPort.postMessage('ready');
})();
`;

async function hammer(shared: SharedState, addresses: readonly bigint[]): Promise<void> {
  const common = { dist: new URL('../../dist/', import.meta.url).href, sharedFd: shared.fd };
  const settings = { ...common, addresses, ports: PORTS, rounds: ROUNDS, age: AGE };
  const workers = Array.from({ length: PROCESSORS }, (_, index) => {
    const workerData = { ...settings, index, processors: PROCESSORS };
    return new Worker(HAMMER, { eval: true, execArgv: [], workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, 'message')));
  const ends = workers.map((worker) => once(worker, 'message'));
  for (const worker of workers) worker.postMessage('go');
  await Promise.all(ends);
  await Promise.all(workers.map((worker) => worker.terminate()));
}

function counts(shared: SharedState): number[] {
  return Array.from({ length: PORT_COUNT_MAX }, (_, port) =>
    shared.view.getInt32(shared.portOffset(port) + PORT_LEARNED_COUNT, true),
  );
}

function recounted(shared: SharedState): number[] {
  const learned = readMacTable(shared.view, 0, Number.MAX_SAFE_INTEGER);
  const totals = new Array<number>(PORT_COUNT_MAX).fill(0);
  for (const { port, isStatic } of learned) {
    if (!isStatic) totals[port] = (totals[port] ?? 0) + 1;
  }
  return totals;
}

describe('processors that learn, move and forget the same addresses concurrently', () => {
  it('keep counts per port that match the table, with each address in it once', async () => {
    const shared = new SharedState();
    // The limits are low enough to be reached, so that sweeps run at the same time.
    for (let port = 0; port <= PORTS; port++) {
      shared.view.setUint32(shared.portOffset(port) + PORT_LEARNED_MAX, 8, true);
    }
    await hammer(shared, crowd(8, 64));
    const entries = readMacTable(shared.view, 0, Number.MAX_SAFE_INTEGER);
    expect(entries.length).toBeGreaterThan(8);
    expect(counts(shared)).toEqual(recounted(shared));
    const addresses = entries.map(({ mac, vlan }) => `${vlan} ${mac}`);
    expect(addresses.length).toBe(new Set(addresses).size);
    shared.close();
  });
});

describe('a wrong count', () => {
  const LEARNED = 5;

  it('is corrected if it would prevent a port from learning', () => {
    const host = new FirmwareHost();
    const count = host.portRecord(3) + PORT_LEARNED_COUNT;
    host.setNow(1000);
    for (let number = 0; number < LEARNED; number++) host.firmware.learn(BigInt(number * 2), 3, 0n);
    expect(host.view.getUint32(count, true)).toBe(LEARNED);
    host.view.setUint32(count, 2000, true);
    for (let batch = 0; batch < FDB_SET_COUNT; batch++) {
      host.nextBatch();
      host.firmware.learn(0x1234_0000n, 3, 0n);
      if (host.firmware.lookup(0x1234_0000n) === 3) break;
    }
    expect(host.firmware.lookup(0x1234_0000n)).toBe(3);
    expect(host.view.getUint32(count, true)).toBe(LEARNED + 1);
  });
});

describe('a full home', () => {
  it('has room for the MAC addresses of all VFs, however they are chosen', () => {
    const host = new FirmwareHost();
    const addresses = crowd(1, PORT_COUNT_MAX);
    for (const address of addresses) host.firmware.learn(address, 7, 0n);
    addresses.forEach((address, vf) => {
      expect(host.firmware.setStatic(address, vf)).toBe(1);
    });
    addresses.forEach((address, vf) => {
      expect(host.firmware.lookup(address)).toBe(vf);
    });
  });

  it('gives a place to a port that has none of them', () => {
    const host = new FirmwareHost();
    const [wanted = 0n, ...others] = crowd(1, 17);
    for (const address of others) host.firmware.learn(address, 7, 0n);
    for (const address of others) expect(host.firmware.lookup(address)).toBe(7);
    host.firmware.learn(wanted, 8, 0n);
    expect(host.firmware.lookup(wanted)).toBe(8);
    for (const address of others) host.firmware.learn(address, 7, 0n); // it is not evicted again
    expect(host.firmware.lookup(wanted)).toBe(8);
  });

  it('costs no lookup elsewhere unless it has entries there', () => {
    const host = new FirmwareHost();
    const addresses = crowd(1, 5);
    const home = host.sharedAddress(SHARED_FDB) + FDB_FAR;
    for (const address of addresses.slice(0, 4)) host.firmware.learn(address, 7, 0n);
    expect(host.view.getBigUint64(home, true)).toBe(0n);
    host.firmware.learn(addresses[4] ?? 0n, 7, 0n);
    expect(host.view.getBigUint64(home, true)).toBe(2n);
    expect(FDB_SET_SIZE).toBe(64);
  });
});

describe('an uplink', () => {
  it('can have its maximum of addresses learned without keeping a VF from learning', () => {
    const host = new FirmwareHost();
    const limit = LEARNED_PER_UPLINK_MAX;
    host.view.setUint32(host.portRecord(9) + PORT_LEARNED_MAX, limit, true);
    const station = (number: number) => (BigInt(number) << 16n) | 0x1a02n;
    for (let number = 0; number < limit; number++) host.firmware.learn(station(number), 9, 0n);
    let known = 0;
    for (let number = 0; number < limit; number++) {
      if (host.firmware.lookup(station(number)) === 9) known += 1;
    }
    expect(known).toBeGreaterThan(limit * 0.999);
    const learned = host.view.getInt32(host.portRecord(9) + PORT_LEARNED_COUNT, true);
    const unlearned = Number(host.view.getBigUint64(host.portRecord(9) + PORT_UNLEARNED, true));
    expect([learned, learned + unlearned]).toEqual([known, limit]);
    for (let number = limit; number < limit + 1000; number++)
      host.firmware.learn(station(number), 4, 0n);
    for (let number = limit; number < limit + 1000; number++) {
      expect(host.firmware.lookup(station(number))).toBe(4);
    }
  });
});
