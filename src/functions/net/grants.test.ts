import { afterEach, describe, expect, it } from 'vitest';
import { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_MTU } from '../../../layout/virtio.ts';
import { exchange } from '../../../test/support/exchange.ts';
import { TestNic } from '../../../test/support/test-nic.ts';
import { actionText } from '../../config/diff.ts';
import { completeVf } from '../../config/validate.ts';
import { FrontEnd } from '../../testing/front-end.ts';
import type { MockGuest } from '../../testing/mock-guest.ts';
import { writeU64 } from '../../vhost-user/message.ts';
import type { Session } from '../../vhost-user/session.ts';
import type { VfChanges } from './config.ts';
import { featureNames, offeredFeatures } from './features.ts';
import { Grants } from './grants.ts';

const options = { queuePairs: 2 };

describe('a change that the current VMM cannot be given', () => {
  let lab: TestNic;

  afterEach(() => lab.finish());

  /** Two guests with two queue pairs each, which acknowledge everything they are offered. */
  async function start(): Promise<[MockGuest, MockGuest]> {
    lab = await TestNic.start({ vf: { queuePairs: 2, mtu: 9000 } });
    const guests = [await lab.connect(0, options), await lab.connect(1, options)] as const;
    await sayMtu(guests[0]);
    return [...guests];
  }

  /** Like QEMU with its own `host_mtu`, whenever its device starts. */
  async function sayMtu(guest: MockGuest): Promise<void> {
    await guest.frontEnd.send('NET_SET_MTU', writeU64(9000n));
  }

  async function checkTraffic(first: MockGuest, second: MockGuest): Promise<void> {
    await exchange(lab, [0, first], [1, second], { count: 20 });
    await exchange(lab, [1, second], [0, first], { count: 20 });
  }

  const cases: [string, VfChanges, RegExp][] = [
    ['a feature', { disabledFeatures: ['EVENT_IDX', 'HOST_TSO4'] }, /keeps .*EVENT_IDX.* until/],
    ['queue pairs', { queuePairs: 1 }, /keeps 2 queue pairs until/],
    ['a larger MTU', { mtu: 1500 }, /keeps an MTU of 9000 until/],
  ];
  it.each(cases)('%s: is reported, the session continues and returns', async (_, change, held) => {
    let [first, second] = await start();
    const events: string[] = [];
    lab.nic.on('disconnect', ({ vf }) => events.push(vf));
    await checkTraffic(first, second);
    const before = lab.nic.config();
    const config = lab.nic.config();
    Object.assign(config.vfs[0]!, change);
    const planned = await lab.nic.apply(config, { dryRun: true });
    expect(planned.map(actionText)).toEqual([expect.stringMatching(/^~ vf0 .*pending: its VMM/)]);
    expect(planned.map(actionText)[0]).toMatch(held);
    expect(lab.nic.vf('vf0').pending).toBeUndefined();
    await lab.nic.apply(config);
    expect(events).toEqual([]);
    expect(lab.nic.vf('vf0')).toMatchObject({ ...change, state: 'ready' });
    expect(lab.nic.vf('vf0').pending).toMatch(held);
    await checkTraffic(first, second);
    // After undoing the change, nothing is pending, and no VMM has to reconnect.
    await lab.nic.apply(before);
    expect(lab.nic.vf('vf0').pending).toBeUndefined();
    await lab.nic.apply(config);
    expect(events).toEqual([]);
    // The same process after a lost connection: its guest cannot renegotiate.
    const gone = lab.next('disconnect', 0);
    const orphan = first.orphan();
    await gone;
    first = await lab.adopt(0, orphan);
    await sayMtu(first);
    expect(lab.nic.vf('vf0').pending).toMatch(held);
    await checkTraffic(first, second);
    expect(events).toEqual(['vf0']);
  });

  it('does not occur if the VMM can take the change: the NIC makes it reconnect', async () => {
    await start();
    const gone = lab.next('disconnect', 0);
    await lab.nic.setVf('vf0', { mtu: 9100 });
    await gone;
  });

  it('is announced if the socket moves, which the VMM cannot follow', async () => {
    await start();
    const config = lab.nic.config();
    config.vfs[0]!.socket += '.moved';
    const planned = await lab.nic.apply(config, { dryRun: true });
    expect(planned.map(actionText)[0]).toMatch(/^! vf0 .*pending: its VMM must be restarted/);
  });

  it('is explained if a VMM wants more than there is and hangs up', async () => {
    lab = await TestNic.start({ vfs: 1 });
    const reasons: (string | undefined)[] = [];
    lab.nic.on('disconnect', ({ reason }) => reasons.push(reason));
    for (let i = 0; i < 4; i++) {
      const gone = lab.next('disconnect', 0);
      const vmm = FrontEnd.connect(lab.socket(0));
      await vmm.ask('GET_FEATURES');
      vmm.close();
      await gone;
    }
    expect(reasons.slice(0, 2)).toEqual([undefined, undefined]);
    for (const reason of reasons.slice(2)) expect(reason).toMatch(/started with more features/);
    expect(lab.nic.vf('vf0').lastFault).toBe(reasons[3]);
  });
});

describe('what a VMM was given', () => {
  const config = completeVf({ name: 'a', socket: '/a', queuePairs: 4, mtu: 9000 }, 'nic');
  const less = { ...config, queuePairs: 1, mtu: 1500, disabledFeatures: ['HOST_TSO4' as const] };
  const session = {
    features: (1n << BigInt(VIRTIO_NET_F_HOST_TSO4)) | (1n << BigInt(VIRTIO_NET_F_MTU)),
    keepsConfigSpace: true,
    rings: { known: new Set([0, 1, 2, 3]) },
    wasAsked: true,
  } as unknown as Session;

  it('is offered to this process again, and not to the next one', () => {
    const grants = new Grants(config);
    grants.begin('7:1', config);
    grants.vmmMtu = 4000;
    expect(grants.end(session)).toBeNull();
    grants.begin('7:1', less);
    expect(grants.terms).toMatchObject({ queuePairs: 2, mtu: 4000 });
    expect(featureNames(offeredFeatures(grants.terms))).toContain('HOST_TSO4');
    // A session that came to nothing takes nothing away.
    grants.end({ ...session, features: 0n } as Session);
    grants.vmmMtu = 4000;
    expect(grants.held(session, less)).toEqual(['HOST_TSO4', '2 queue pairs', 'an MTU of 4000']);
    // A process number may be reused.
    grants.begin('7:2', less);
    expect(grants.terms).toMatchObject({ queuePairs: 1, mtu: 1500 });
    expect(featureNames(offeredFeatures(grants.terms))).not.toContain('HOST_TSO4');
    expect(grants.terms.keptFeatures).toBe(0n);
  });

  it('does not count once the process is gone', () => {
    const grants = new Grants(config);
    grants.begin('4194305:1', config); // beyond the largest process number
    grants.end(session);
    expect(grants.held(null, less)).toEqual([]);
  });
});
