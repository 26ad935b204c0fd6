import { beforeEach, describe, expect, it } from 'vitest';
import { NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { Crowd } from '../support/crowd.ts';
import { accountOf, promise } from '../support/promises.ts';

let crowd: Crowd;

beforeEach(() => {
  crowd = new Crowd([60, 60]);
});

/** The host works for a function for so long, in ns. */
function workFor(node: number, nanoseconds: number): void {
  const { host } = crowd.wire;
  host.firmware.beginHostWork();
  host.nanoseconds += nanoseconds - host.nanosecondsPerLook;
  host.firmware.chargeHostWork(node);
}

const workOf = (node: number) => accountOf(crowd.wire.host, node).workNanoseconds;

describe('what the host does for a function', () => {
  it('is charged to it and to all above it, and to nobody else', () => {
    promise(crowd.wire.host, 0, { parent: NODE_FIRST_GROUP });
    crowd.run(1);
    const nodes = [0, 1, NODE_FIRST_GROUP, NODE_ROOT];
    const before = nodes.map(workOf);
    workFor(0, 40_000);
    expect(nodes.map((node, i) => workOf(node) - (before[i] ?? 0))).toEqual([4e4, 0, 4e4, 4e4]);
    workFor(NODE_ROOT, 10_000);
    workFor(1, 5000);
    expect(nodes.map((node, i) => workOf(node) - (before[i] ?? 0))).toEqual([
      ...[4e4, 5e3, 4e4, 55e3],
    ]);
  });

  it('goes on after it was charged: between two functions nothing is lost', () => {
    const { host } = crowd.wire;
    crowd.run(1);
    const before = [0, 1].map(workOf);
    host.firmware.beginHostWork();
    for (const node of [0, 1]) {
      host.nanoseconds += 5000 - host.nanosecondsPerLook;
      host.firmware.chargeHostWork(node);
    }
    expect([0, 1].map((node, i) => workOf(node) - (before[i] ?? 0))).toEqual([5000, 5000]);
  });

  it('is of whoever was served last, if batches have left it behind', () => {
    const { host } = crowd.wire;
    crowd.run(1);
    host.settle();
    crowd.send(1, 1);
    host.settle();
    const before = [0, 1, NODE_ROOT].map(workOf);
    const leaveBehind = (): void => {
      host.firmware.beginHostWork();
      host.nanoseconds += 5000 - host.nanosecondsPerLook;
      host.firmware.chargeServed();
    };
    leaveBehind();
    expect([0, 1, NODE_ROOT].map((node, i) => workOf(node) - (before[i] ?? 0))).toEqual([
      ...[0, 5000, 5000],
    ]);
    host.firmware.detachRing(host.ringNumber(1, 1));
    leaveBehind(); // it is gone, and another may have its number
    expect([0, 1, NODE_ROOT].map((node, i) => workOf(node) - (before[i] ?? 0))).toEqual([
      ...[0, 5000, 10_000],
    ]);
  });

  it('takes from its part of the time, and is not part of what the next batch costs', () => {
    crowd.wire.host.nanosecondsPerLook = 5000; // no turn takes all that a ring has
    const turns = () => {
      for (let turn = 0; turn < 300; turn++) {
        crowd.run(1);
        workFor(0, 10_000);
      }
    };
    const [first = 0, second = 0] = crowd.during(turns, 'workNanoseconds');
    expect(first / second).toBeCloseTo(1, 1);
    const [frames = 0, others = 0] = crowd.during(turns, 'packets');
    expect(others / frames).toBeGreaterThan(1.5);
  });

  it('is not the time for which the processor has lost its CPU', () => {
    crowd.wire.host.nanosecondsPerLook = 200_000;
    const all = crowd.during(() => crowd.run(50), 'workNanoseconds');
    crowd.wire.host.partLost = 0.95;
    const had = crowd.during(() => crowd.run(50), 'workNanoseconds');
    const sum = (works: number[]) => works.reduce((a, b) => a + b, 0);
    expect(sum(had) / sum(all)).toBeLessThan(0.1);
  });
});
