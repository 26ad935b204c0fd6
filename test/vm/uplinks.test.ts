import { type ChildProcess, spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, type TestContext, test } from 'vitest';
import { findProgram } from '../../src/demo/guest/requirements.ts';
import { untilBalanced } from '../support/assert-balanced.ts';
import { enterNamespace, ip, linkStats, namespaceMissing } from '../support/namespace.ts';
import { untilSame } from '../support/wait-until.ts';
import { xdpMissing } from '../support/xdp.ts';
import { canRunGuests, Laboratory, skipWithoutGuests } from './laboratory.ts';
import { STREAM_MIB } from './traffic.ts';

const HOST = '10.0.0.254';
const PAGE = 'a page of the host\n';

let server: Server;
let iperf: ChildProcess;

beforeAll(async () => {
  if (!canRunGuests || namespaceMissing !== undefined) return;
  enterNamespace();
  // passt gives its guests the configuration of the default route: here, an interface to nowhere.
  ip('link add outside type veth peer name nowhere');
  ip('link set nowhere up');
  ip('address add 192.0.2.2/24 dev outside');
  ip('link set outside up');
  ip('route add default via 192.0.2.1');
  server = createServer((_, response) => response.end(PAGE));
  await new Promise<void>((resolve) => server.listen(8080, resolve));
  iperf = spawn('iperf3', ['-s'], { stdio: 'ignore' });
});

afterAll(() => {
  iperf?.kill();
  server?.close();
});

beforeEach((context: TestContext) => {
  skipWithoutGuests(context);
  if (namespaceMissing !== undefined) context.skip(namespaceMissing);
});

/** The guest reaches the host behind the uplink and fetches a page from it. */
async function fetchPage(lab: Laboratory): Promise<void> {
  const vm1 = lab.guest('vm1');
  await vm1.run(`until ping -c 1 -W 1 ${HOST} >/dev/null; do :; done`, 30);
  expect(await vm1.run(`wget -q -O - http://${HOST}:8080/`)).toBe(PAGE);
  await untilBalanced(lab.nic);
}

/** TCP to the host, or from it (-R), passes the uplink in super-frames that are not segmented. */
async function checkSuperFrames(lab: Laboratory, direction: '' | '-R'): Promise<void> {
  const before = lab.nic.stats().uplinks[0];
  const output = await lab
    .guest('vm1')
    .run(`iperf3 -c ${HOST} -n ${STREAM_MIB}M -J ${direction}`, 90);
  const { end } = JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } };
  const mbps = Math.round(end.sum_received.bits_per_second / 1e6);
  const after = lab.nic.stats().uplinks[0];
  if (before === undefined || after === undefined) throw new Error('no uplink');
  const way = direction === '' ? 'rx' : 'tx';
  const bytes = after[way].bytes - before[way].bytes;
  const frames = after[way].packets - before[way].packets;
  console.log(`TCP ${direction === '' ? 'to' : 'from'} the host: ${mbps} Mbit/s,`);
  console.log(`  ${Math.round(bytes / frames)} bytes in a frame on average`);
  expect(bytes / frames).toBeGreaterThan(3000);
  expect(after.rx.segments).toBe(0);
  await untilBalanced(lab.nic);
}

/** Frames that have passed the uplink. The guest and the host send a few at any time. */
interface Passed {
  toWorld: number;
  toNic: number;
}

function passed(lab: Laboratory): Passed {
  const wire = lab.nic.stats().uplinks[0]?.wire;
  if (wire === undefined) throw new Error('no uplink');
  return { toWorld: wire.sent, toNic: wire.received };
}

/** The kernel's counters of the interface that a packet socket or AF_XDP uses. */
function passedNear(): Passed {
  const { rx, tx } = linkStats('near');
  return { toWorld: tx.packets, toNic: rx.packets };
}

describe('a guest on a TAP', () => {
  let lab: Laboratory;

  beforeAll(async () => {
    if (!canRunGuests || namespaceMissing !== undefined) return;
    lab = await Laboratory.open({ guests: 1 });
    await lab.nic.addUplink({ name: 'host', type: 'tap', interface: 'heddle0' });
    ip(`address add ${HOST}/24 dev heddle0`);
  }, 120_000);
  afterAll(() => lab?.close());

  test('reaches the host and fetches a page from it', () => fetchPage(lab));

  test.each(['', '-R'] as const)('moves TCP in super-frames %s', (direction) =>
    checkSuperFrames(lab, direction),
  );

  test('agrees with the counters of the kernel', async () => {
    await lab.guest('vm1').run(`ping -c 20 -i 0.05 ${HOST}`);
    const kernel = (): Passed => {
      const { rx, tx } = linkStats('heddle0');
      return { toWorld: rx.packets, toNic: tx.packets };
    };
    await untilSame(() => passed(lab), kernel);
  });
});

describe('a guest on a packet socket', () => {
  let lab: Laboratory;

  beforeAll(async () => {
    if (!canRunGuests || namespaceMissing !== undefined) return;
    lab = await Laboratory.open({ guests: 1 });
    // `near` is the interface, `far` the network behind it: a host with the address used above.
    ip('link add near type veth peer name far');
    for (const name of ['near', 'far']) ip(`link set ${name} up`);
    ip(`address add ${HOST}/24 dev far`);
    await lab.nic.addUplink({ name: 'lan', type: 'packet', interface: 'near' });
  }, 120_000);

  afterAll(async () => {
    await lab?.close();
    if (lab !== undefined) ip('link delete near');
  });

  test('reaches the network', () => fetchPage(lab));

  test.each(['', '-R'] as const)('moves TCP in super-frames %s', (direction) =>
    checkSuperFrames(lab, direction),
  );

  test('agrees with the counters of the kernel', () => untilSame(() => passed(lab), passedNear));
});

describe('a guest on AF_XDP', () => {
  let lab: Laboratory;
  let iperf: ChildProcess;
  const missing = xdpMissing();

  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
  });
  beforeAll(async () => {
    if (!canRunGuests || namespaceMissing !== undefined || missing !== undefined) return;
    lab = await Laboratory.open({ guests: 1 });
    ip('link add near type veth peer name far');
    for (const name of ['near', 'far']) ip(`link set ${name} up`);
    ip(`address add ${HOST}/24 dev far`);
    await lab.nic.addUplink({ name: 'fast', type: 'xdp', interface: 'near' });
    iperf = spawn('iperf3', ['-s'], { stdio: 'ignore' });
  }, 120_000);

  afterAll(async () => {
    iperf?.kill();
    await lab?.close();
    if (lab !== undefined) ip('link delete near');
  });

  test('reaches the network', async () => {
    const vm1 = lab.guest('vm1');
    await vm1.run(`until ping -c 1 -W 1 ${HOST} >/dev/null; do :; done`, 30);
    expect(await vm1.run(`wget -q -O - http://${HOST}:8080/`)).toBe(PAGE);
    await untilBalanced(lab.nic);
  });

  test.each(['', '-R'])('moves TCP in whole frames %s', async (direction) => {
    const before = lab.nic.stats().uplinks[0];
    const output = await lab
      .guest('vm1')
      .run(`iperf3 -c ${HOST} -n ${STREAM_MIB}M -J ${direction}`, 90);
    const { end } = JSON.parse(output) as { end: { sum_received: { bits_per_second: number } } };
    const mbps = Math.round(end.sum_received.bits_per_second / 1e6);
    console.log(`AF_XDP, TCP ${direction === '' ? 'to' : 'from'} the network: ${mbps} Mbit/s`);
    const after = lab.nic.stats().uplinks[0];
    if (before === undefined || after === undefined) throw new Error('no uplink');
    // The NIC segments the guest's super-frames; the kernel segments those of the network before
    // the program sees them.
    if (direction === '') expect(after.rx.segments).toBeGreaterThan(before.rx.segments);
    expect(after.wire.drops).toEqual({ ...before.wire.drops });
    await untilBalanced(lab.nic);
  });

  test('agrees with the counters of the kernel', () => {
    const own = (): Passed => {
      const { kernel } = lab.nic.stats().uplinks[0] ?? {};
      const dropped = (kernel?.drops.receiveDropped ?? 0) + (kernel?.drops.receiveRingFull ?? 0);
      const { toWorld, toNic } = passed(lab);
      return { toWorld, toNic: toNic + dropped };
    };
    return untilSame(own, passedNear);
  });
});

describe('a guest behind passt', () => {
  let lab: Laboratory;
  const missing = findProgram('passt') === undefined ? 'passt is not installed' : undefined;

  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(missing);
  });
  beforeAll(async () => {
    if (!canRunGuests || namespaceMissing !== undefined || missing !== undefined) return;
    lab = await Laboratory.open({ guests: 1 });
    await lab.nic.addUplink({ name: 'wan', type: 'passt' });
  }, 120_000);
  afterAll(() => lab?.close());

  test('gets an address by DHCP and fetches a page from the host', async () => {
    const vm1 = lab.guest('vm1');
    const script = [
      'ip address flush dev eth0',
      'cat >/tmp/dhcp.sh <<"END"',
      '#!/bin/sh',
      '[ "$1" = bound ] || exit 0',
      'ip address add $ip/$mask dev $interface',
      'ip route add default via $router',
      'echo "$ip $router" >/tmp/lease',
      'END',
      'chmod +x /tmp/dhcp.sh',
      'udhcpc -i eth0 -n -q -t 5 -s /tmp/dhcp.sh >&2',
      'cat /tmp/lease',
    ].join('\n');
    const output = await vm1.run(script, 30);
    const [, address, router] = output.match(/^([\d.]+) ([\d.]+)$/m) ?? [];
    console.log(`passt gave ${address} with the router ${router}`);
    expect(address).toBe('192.0.2.2');
    // passt maps the address of the router to the host.
    expect(await vm1.run(`wget -q -O - http://${router}:8080/`)).toBe(PAGE);
    await untilBalanced(lab.nic);
  });

  test('finds passt again after a crash', async () => {
    const down = new Promise<string>((resolve) => {
      lab.nic.on('uplink-down', ({ reason }) => resolve(reason ?? ''));
    });
    const up = new Promise<void>((resolve) => lab.nic.on('uplink-up', () => resolve()));
    for (const pid of passtPids()) process.kill(pid, 'SIGKILL');
    expect(await down).toMatch(/SIGKILL|closed/);
    await up;
    const page = 'until wget -q -O - http://192.0.2.1:8080/; do sleep 0.2; done';
    expect(await lab.guest('vm1').run(page, 30)).toBe(PAGE);
    await untilBalanced(lab.nic);
  });
});

/** The pids of passt as a child of this process. */
function passtPids(): number[] {
  const { readdirSync, readFileSync } = process.getBuiltinModule('node:fs');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return parent === process.pid && stat.includes('(passt');
      } catch {
        return false;
      }
    });
}
