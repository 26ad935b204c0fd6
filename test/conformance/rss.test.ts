import { afterEach, describe, expect, it } from 'vitest';
import * as virtio from '../../layout/virtio.ts';
import { plainFrame } from '../../src/testing/frames.ts';
import { MODERN_FEATURES } from '../../src/testing/guest-queues.ts';
import type { MockGuest, MockGuestOptions } from '../../src/testing/mock-guest.ts';
import { Random } from '../../src/testing/random.ts';
import { viewOf } from '../../src/vhost-user/message.ts';
import {
  CONTROL_FEATURES,
  ERROR,
  OK,
  type RssConfig,
  setHashing,
  setQueuePairs,
  setRss,
} from '../support/control-commands.ts';
import { exchange } from '../support/exchange.ts';
import {
  addressInput,
  type Flow,
  flowFrame,
  GRE,
  portInput,
  TCP,
  toeplitz,
  UDP,
} from '../support/flow-frames.ts';
import { TestNic } from '../support/test-nic.ts';

const RSS = [...MODERN_FEATURES, ...CONTROL_FEATURES, virtio.VIRTIO_NET_F_RSS];
const HASHES = [...RSS, virtio.VIRTIO_NET_F_HASH_REPORT];
const PAIRS = 4;
const VF = { queuePairs: PAIRS };
const FORMATS = [
  { title: 'split', packed: false },
  { title: 'packed', packed: true },
] as const;

/** The key of the verification suite for RSS hardware. */
const SUITE_KEY = Buffer.from(
  '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa',
  'hex',
);

// The suite's cases: destination and source with ports; the hash with ports and without.
const SUITE_IPV4 = [
  ['161.142.100.80:1766', '66.9.149.187:2794', 0x51ccc178, 0x323e8fc2],
  ['65.69.140.83:4739', '199.92.111.2:14230', 0xc626b0ea, 0xd718262a],
  ['12.22.207.184:38024', '24.19.198.95:12898', 0x5c2b394a, 0xd2d0a5de],
  ['209.142.163.6:2217', '38.27.205.30:48228', 0xafc7327f, 0x82989176],
  ['202.188.127.2:1303', '153.39.163.191:44251', 0x10e828a2, 0x5d1809c5],
] as const;
const SUITE_IPV6 = [
  [
    '3ffe:2501:0200:0003:0:0:0:1',
    1766,
    '3ffe:2501:0200:1fff:0:0:0:7',
    2794,
    0x40207d3d,
    0x2cc18cd5,
  ],
  [
    'ff02:0:0:0:0:0:0:1',
    4739,
    '3ffe:0501:0008:0:0260:97ff:fe40:efab',
    14230,
    0xdde51bbf,
    0x0f0c461c,
  ],
  [
    'fe80:0:0:0:0200:f8ff:fe21:67cf',
    38024,
    '3ffe:1900:4545:3:200:f8ff:fe21:67cf',
    44251,
    0x02d1feef,
    0x4b61e985,
  ],
] as const;

const ALL = virtio.HASH_TYPES;
const HASH_TYPE_TCPV4 = 2;
const REPORT = { none: 0, ipv4: 1, tcpv4: 2, udpv4: 3, ipv6: 4, tcpv6: 5, udpv6: 6 } as const;

interface Seen {
  pair: number;
  hash: number;
  report: number;
}

let lab: TestNic;

afterEach(async () => {
  await lab.finish();
});

/** A guest that records, by each frame's bytes, its header and the pair on which it arrived. */
async function connectReceiver(
  seen: Map<string, Seen>,
  options: MockGuestOptions,
): Promise<MockGuest> {
  let guest: MockGuest | undefined;
  guest = await lab.connect(1, {
    queuePairs: PAIRS,
    slots: 64,
    ...options,
    onFrame: (frame, pair) => {
      const header = viewOf(guest!.queues.pair(pair).receive.header);
      const hasHash = header.byteLength === virtio.NET_HEADER_SIZE_HASH;
      const hash = hasHash ? header.getUint32(virtio.NET_HEADER_HASH_VALUE, true) : 0;
      const report = hasHash ? header.getUint32(virtio.NET_HEADER_HASH_REPORT, true) : 0;
      seen.set(Buffer.from(frame).toString('hex'), { pair, hash, report });
    },
  });
  return guest;
}

async function sendAll(
  sender: MockGuest,
  seen: Map<string, Seen>,
  frames: readonly Uint8Array[],
): Promise<Seen[]> {
  seen.clear();
  await sender.sendAll(frames);
  await sender.waitTransmitted();
  await expect.poll(() => seen.size).toBe(frames.length);
  return frames.map((frame) => seen.get(Buffer.from(frame).toString('hex')) as Seen);
}

function ipv4(target: string, source: string, protocol: number): Flow {
  const [[to = '', targetPort], [from = '', sourcePort]] = [target.split(':'), source.split(':')];
  const bytes = (text: string) => text.split('.').map(Number);
  const ends = { source: bytes(from), target: bytes(to) };
  const ports = { sourcePort: Number(sourcePort), targetPort: Number(targetPort) };
  return { version: 4, ...ends, protocol, ...ports };
}

function ipv6(suite: (typeof SUITE_IPV6)[number], protocol: number): Flow {
  const bytes = (text: string) =>
    text.split(':').flatMap((word) => {
      const value = Number.parseInt(word, 16);
      return [value >> 8, value & 0xff];
    });
  const [target, targetPort, source, sourcePort] = suite;
  const ends = { source: bytes(source), target: bytes(target) };
  return { version: 6, ...ends, protocol, sourcePort, targetPort };
}

function randomFlow(random: Random): Flow {
  const version = random.chance(0.5) ? 4 : 6;
  const address = () => Array.from({ length: version === 4 ? 4 : 16 }, () => random.below(256));
  const ends = { source: address(), target: address() };
  const ports = { sourcePort: random.below(65536), targetPort: random.below(65536) };
  return { version, ...ends, protocol: random.pick([TCP, UDP, GRE]), ...ports };
}

/** What the specification prescribes for a flow: report and hash, given the enabled types. */
function expectedHash(flow: Flow, types: number, key: Iterable<number>): Omit<Seen, 'pair'> {
  const shift = flow.version === 4 ? 0 : 3;
  const bit = flow.protocol === TCP ? 1 : flow.protocol === UDP ? 2 : -1;
  if (bit > 0 && ((types >> (bit + shift)) & 1) === 1) {
    return { report: bit + shift + 1, hash: toeplitz(key, portInput(flow)) };
  }
  if (((types >> shift) & 1) === 0) return { report: REPORT.none, hash: 0 };
  return { report: shift + 1, hash: toeplitz(key, addressInput(flow)) };
}

function config(changes: Partial<RssConfig> = {}): RssConfig {
  const base = { types: ALL, unclassified: 0, table: [0, 1, 2, 3], transmitQueues: PAIRS };
  return { ...base, key: SUITE_KEY, ...changes };
}

function addresses(): { to: string; from: string } {
  return { to: lab.mac(1), from: lab.mac(0) };
}

describe.each(FORMATS)('receive-side scaling on $title rings', ({ packed }) => {
  it('reports the hashes of the verification suite, type by type', async () => {
    lab = await TestNic.start({ vf: VF });
    const sender = await lab.connect(0);
    const seen = new Map<string, Seen>();
    const guest = await connectReceiver(seen, { packed, features: HASHES });
    expect((await guest.command(setRss(config()))).ack).toBe(OK);
    const cases: [Flow, number, number][] = [];
    for (const [target, source, withPorts, without] of SUITE_IPV4) {
      cases.push([ipv4(target, source, TCP), REPORT.tcpv4, withPorts]);
      cases.push([ipv4(target, source, UDP), REPORT.udpv4, withPorts]);
      cases.push([ipv4(target, source, GRE), REPORT.ipv4, without]);
    }
    for (const suite of SUITE_IPV6) {
      cases.push([ipv6(suite, TCP), REPORT.tcpv6, suite[4]]);
      cases.push([ipv6(suite, UDP), REPORT.udpv6, suite[4]]);
      cases.push([ipv6(suite, GRE), REPORT.ipv6, suite[5]]);
    }
    const frames = cases.map(([flow]) => flowFrame(addresses(), flow));
    const arrived = await sendAll(sender, seen, frames);
    cases.forEach(([, report, hash], index) => {
      expect(arrived[index]).toEqual({ pair: hash & 3, hash, report });
    });
  });

  it('spreads flows by key, types and table', async () => {
    lab = await TestNic.start({ vf: VF });
    const random = new Random(7);
    const sender = await lab.connect(0);
    const seen = new Map<string, Seen>();
    const guest = await connectReceiver(seen, { packed, features: HASHES });
    for (const types of [ALL, HASH_TYPE_TCPV4 | virtio.HASH_TYPE_IPV6, 0]) {
      const key = Array.from({ length: 40 }, () => random.below(256));
      const table = Array.from({ length: 128 }, () => random.below(PAIRS));
      const wanted = config({ types, key, table, unclassified: 2 });
      expect((await guest.command(setRss(wanted))).ack).toBe(OK);
      const flows = Array.from({ length: 60 }, () => randomFlow(random));
      const arrived = await sendAll(
        sender,
        seen,
        flows.map((flow) => flowFrame(addresses(), flow)),
      );
      flows.forEach((flow, index) => {
        const { hash, report } = expectedHash(flow, types, key);
        const pair = report === REPORT.none ? 2 : table[hash & 127];
        expect(arrived[index]).toEqual({ pair, hash, report });
      });
    }
  });

  it('delivers frames without a hash to the queue that the guest has set', async () => {
    lab = await TestNic.start({ vf: VF });
    const sender = await lab.connect(0);
    const seen = new Map<string, Seen>();
    const guest = await connectReceiver(seen, { packed, features: RSS });
    await guest.command(setRss(config({ unclassified: 3 })));
    const [arrived] = await sendAll(sender, seen, [plainFrame(addresses(), 100)]);
    expect(arrived?.pair).toBe(3);
  });

  it('follows the last command, be it a table or a number of pairs', async () => {
    lab = await TestNic.start({ vf: VF });
    const random = new Random(9);
    const sender = await lab.connect(0);
    const seen = new Map<string, Seen>();
    const guest = await connectReceiver(seen, { packed, features: HASHES });
    const flows = Array.from({ length: 40 }, () => randomFlow(random));
    const frames = flows.map((flow) => flowFrame(addresses(), flow));
    const pairs = async () =>
      new Set((await sendAll(sender, seen, frames)).map(({ pair }) => pair));
    expect(await pairs()).toEqual(new Set([0]));
    await guest.command(setRss(config({ table: [3, 1] })));
    expect(await pairs()).toEqual(new Set([1, 3]));
    await guest.command(setQueuePairs(2));
    expect(await pairs()).toEqual(new Set([0, 1]));
    await guest.command(setHashing(virtio.HASH_TYPE_IPV4, SUITE_KEY));
    const arrived = await sendAll(sender, seen, frames);
    flows.forEach((flow, index) => {
      expect(arrived[index]).toMatchObject(expectedHash(flow, virtio.HASH_TYPE_IPV4, SUITE_KEY));
    });
    const reset = lab.next('reset', 1);
    await guest.frontEnd.send('RESET_DEVICE');
    await reset;
    await guest.restart();
    for (const { pair, report } of await sendAll(sender, seen, frames)) {
      expect([pair, report]).toEqual([0, REPORT.none]);
    }
  });

  it('CVE-2023-6693: carries longer headers in both directions, however they are split', async () => {
    lab = await TestNic.start();
    const small = { bufferBytesMin: 300, bufferBytesMax: 700 };
    const first = await lab.connect(0, { packed, features: HASHES, ...small });
    const second = await lab.connect(1);
    const options = { count: 40, lengthMax: 1514 };
    await first.command(setHashing(ALL, SUITE_KEY));
    await exchange(lab, [0, first], [1, second], options);
    await exchange(lab, [1, second], [0, first], options);
  });
});

describe('the features of receive-side scaling', () => {
  it('CVE-2024-6505: refuse malformed and excessive commands, and do not change', async () => {
    lab = await TestNic.start({ vf: VF });
    const sender = await lab.connect(0);
    const seen = new Map<string, Seen>();
    const guest = await connectReceiver(seen, { features: HASHES });
    await guest.command(setRss(config({ table: [1] })));
    const good = setRss(config());
    const refused: Uint8Array[] = [
      setRss(config({ table: [0, 1, 2] })),
      setRss(config({ table: new Array(256).fill(0) })),
      setRss(config({ mask: 0xffff })),
      setRss(config({ table: [0, PAIRS] })),
      setRss(config({ table: [0, 0x8001] })),
      setRss(config({ unclassified: PAIRS })),
      setRss(config({ transmitQueues: 0 })),
      setRss(config({ transmitQueues: PAIRS + 1 })),
      setRss(config({ types: virtio.HASH_TYPES + 1 })),
      setRss(config({ key: new Uint8Array(41) })),
      setRss(config({ key: [] })),
      setRss(config({ keyLength: 39 })),
      good.subarray(0, good.length - 1),
      good.subarray(0, 9),
      Uint8Array.of(...good, 0),
      setHashing(1, []),
      setHashing(1 << 8, SUITE_KEY),
      setHashing(1, SUITE_KEY, 1),
      setHashing(1, SUITE_KEY).subarray(0, 14),
    ];
    for (const [index, bytes] of refused.entries()) {
      expect((await guest.command(bytes)).ack, `command ${index}`).toBe(ERROR);
    }
    expect(lab.stats(1).control).toMatchObject({ refused: refused.length, faults: 0 });
    const flow = ipv4(SUITE_IPV4[0][0], SUITE_IPV4[0][1], TCP);
    const [arrived] = await sendAll(sender, seen, [flowFrame(addresses(), flow)]);
    expect(arrived).toEqual({ pair: 1, hash: SUITE_IPV4[0][2], report: REPORT.tcpv4 });
  });

  it('without our control queue: longer headers without a hash, flows are spread', async () => {
    lab = await TestNic.start({ vf: VF });
    const sender = await lab.connect(0);
    const seen = new Map<string, Seen>();
    const features = [...MODERN_FEATURES, virtio.VIRTIO_NET_F_RSS, virtio.VIRTIO_NET_F_HASH_REPORT];
    const guest = await connectReceiver(seen, { features });
    expect(guest.queues.headerSize).toBe(virtio.NET_HEADER_SIZE_HASH);
    const random = new Random(11);
    const frames = Array.from({ length: 60 }, () => flowFrame(addresses(), randomFlow(random)));
    const arrived = await sendAll(sender, seen, frames);
    expect(new Set(arrived.map(({ pair }) => pair))).toEqual(new Set([0, 1, 2, 3]));
    expect(new Set(arrived.map(({ report }) => report))).toEqual(new Set([REPORT.none]));
  });

  it('are in the configuration space', async () => {
    lab = await TestNic.start();
    const guest = await lab.connect(0, { features: HASHES });
    const request = new Uint8Array(12 + 24);
    viewOf(request).setUint32(4, 24, true);
    const space = viewOf((await guest.frontEnd.ask('GET_CONFIG', request)).subarray(12));
    expect(space.getUint8(17), 'rss_max_key_size').toBe(40);
    expect(space.getUint16(18, true), 'rss_max_indirection_table_length').toBe(128);
    expect(space.getUint32(20, true), 'supported_hash_types').toBe(ALL);
  });
});
