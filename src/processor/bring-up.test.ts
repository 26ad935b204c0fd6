import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { COUNTER_FAULTS } from '../../layout/counters.ts';
import { CONTROL_QUEUE } from '../../layout/limits.ts';
import { RING_ENABLED } from '../../layout/virtqueue.ts';
import { Raiser } from '../os/raiser.ts';
import { SharedState } from '../state/shared-state.ts';
import { bringUp } from './bring-up.ts';
import type { NicFunction } from './fabric.ts';
import type { FunctionView, RingView } from './function-view.ts';
import type { Message, RingPins, RingRole } from './mailbox.ts';

const REGION = {
  ...{ guestAddress: 0, sizeBytes: 4096, userAddress: 0, fd: 9, fileOffset: 0 },
  ...{ pageSizeBytes: 4096, uses: 1 },
};
const PIN = { pinOffset: 0, lengthBytes: 4096, fd: 9, fileOffset: 0, partOffset: 0 };

let shared: SharedState;
let raiser: Raiser;
let posted: Message[];
let told: string[];

beforeEach(() => {
  shared = new SharedState();
  raiser = new Raiser(shared.fd);
  posted = [];
  told = [];
});

afterEach(() => {
  raiser.close();
  shared.close();
});

function ring(vf: number, queue: number, change: Partial<RingView> = {}): RingView {
  const pins: RingPins = { descriptors: PIN, avail: PIN, used: PIN };
  const role: RingRole = queue % 2 === 0 ? 'receive' : 'transmit';
  const number = vf * CONTROL_QUEUE + queue;
  const known = { state: RING_ENABLED, kickFd: -1, call: null, isPacked: false, isPlaced: true };
  return { ring: number, processor: 0, role, pins, ...known, ...change };
}

function port(
  vf: number,
  change: Partial<FunctionView> = {},
): NicFunction & { view: () => FunctionView } {
  const rings = [ring(vf, 0), ring(vf, 1)];
  const ringBlock = { first: vf * CONTROL_QUEUE, count: CONTROL_QUEUE };
  const view: FunctionView = {
    ...{ owner: vf, ringBlock, regions: [REGION], isBehindIommu: false, translations: [] },
    port: { port: vf, isUp: true },
    ...{ rings, wires: [], ...change },
  };
  return {
    ...{ number: vf, name: `vf${vf}`, processor: 0, ringBlock, view: () => view },
    isServedBy: () => true,
    setAside: async (reason) => void told.push(`vf${vf} aside: ${reason}`),
    onRingFault: async (queue, { reason }) => void told.push(`vf${vf} queue ${queue}: ${reason}`),
  };
}

function bringUpAll(
  ports: readonly NicFunction[],
  { index = 0, fail = (_: Message): Error | null => null } = {},
): Promise<void> {
  const post = async (message: Message): Promise<boolean> => {
    posted.push(message);
    const error = fail(message);
    if (error !== null) throw error;
    return true;
  };
  return bringUp(ports, { index, shared, raiser, post });
}

function words(): string[] {
  return posted.map((message) => {
    const { kind } = message;
    if ('ring' in message) return `${kind} ${message.ring}`;
    if ('port' in message) return `${kind} ${message.port}`;
    return `${kind} ${'owner' in message ? message.owner : ''}`;
  });
}

describe('an empty processor', () => {
  it('is told about everything that receives first, then about what sends', async () => {
    const translations = [{ iova: 0n, sizeBytes: 4096n, guestAddress: 0, access: 3 }];
    const wire = {
      pair: 0,
      processor: 0,
      receiveRing: 0,
      pin: PIN,
      wire: { kind: 'null' as const },
      mtu: 1500,
    };
    const ports = [
      port(0, { isBehindIommu: true, translations }),
      port(1, { wires: [{ ...wire, callFd: 5 }] }),
    ];
    const done = bringUpAll(ports);
    expect(words(), 'before anything is answered').toEqual([
      ...['set-memory 0', 'set-translations 0', 'attach-ring 0', 'set-port 0'],
      ...['set-memory 1', `attach-ring ${CONTROL_QUEUE}`, 'set-port 1', 'attach-port 1'],
      ...['attach-ring 1', `attach-ring ${CONTROL_QUEUE + 1}`],
    ]);
    await done;
    expect(told).toEqual([]);
  });

  it('reads a ring’s position from guest memory only if no other processor uses it', async () => {
    const rings = [
      ring(0, 0), // in use by others: its position is in the record
      ring(0, 1),
      ring(0, 3, { isPacked: true }),
      ring(0, 2, { isPlaced: false }), // its owner died before it knew the position
    ];
    await bringUpAll([port(0, { rings })]);
    const resumes = posted.flatMap((one) =>
      one.kind === 'attach-ring' ? [[one.ring, one.resumesFromUsed]] : [],
    );
    expect(new Map(resumes as [number, boolean][])).toEqual(
      new Map([
        [0, false],
        [2, true],
        [1, true],
        [3, false],
      ]),
    );
  });

  it('gets receive rings of other processors once their owner has found the position', async () => {
    const rings = [ring(0, 0), ring(0, 1), ring(0, 2, { isPlaced: false })];
    await bringUpAll([port(0, { rings })], { index: 1 });
    expect(words()).toEqual(['set-memory 0', 'attach-ring 0', 'set-port 0']);
  });
});

describe('when attaching fails', () => {
  it('a function is set aside by name, and the others continue', async () => {
    const broken = port(0);
    broken.view = () => {
      throw new Error('a mistake');
    };
    const fail = (message: Message) =>
      message.kind === 'set-memory' && message.owner === 1 ? new Error('no room') : null;
    await bringUpAll([broken, port(1), port(2)], { fail });
    expect(told).toEqual([
      'vf0 aside: processor 0 cannot attach it: a mistake',
      'vf1 aside: processor 0 cannot attach it: no room',
    ]);
    expect(words().filter((one) => one.endsWith(` ${2 * CONTROL_QUEUE + 1}`))).toHaveLength(1);
  });

  it('a ring is counted as faulted and reported once', async () => {
    const fail = ({ kind }: Message) => (kind === 'attach-ring' ? new Error('mmap: EPERM') : null);
    await bringUpAll([port(1, { rings: [ring(1, 1)] })], { fail });
    expect(told).toEqual(['vf1 queue 1: its memory cannot be mapped: mmap: EPERM']);
    expect(shared.counter(CONTROL_QUEUE + 1, COUNTER_FAULTS)).toBe(1);
  });

  it('a ring that was stopped or started again in the meantime is not reported', async () => {
    const one = port(0, { rings: [ring(0, 1)] });
    const again = { ...one.view(), rings: [ring(0, 1)] };
    const fail = ({ kind }: Message) => {
      one.view = () => again;
      return kind === 'attach-ring' ? new Error('mmap: EPERM') : null;
    };
    await bringUpAll([one], { fail });
    expect(told).toEqual([]);
    expect(shared.counter(1, COUNTER_FAULTS)).toBe(0);
  });
});
