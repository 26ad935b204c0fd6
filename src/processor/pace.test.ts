import { describe, expect, it } from 'vitest';
import { Pace } from './pace.ts';

/** A pace with a clock that each look moves on by so many milliseconds a turn. */
function paceOf(millisecondsPerTurn: number) {
  const machine = { time: 0, isBusy: false, looks: 0 };
  const pace = new Pace({
    now: () => machine.time,
    isContested: () => {
      machine.looks += 1;
      return machine.isBusy;
    },
  });
  /** Milliseconds that it looks before it would sleep. */
  const spin = (): number => {
    const started = machine.time;
    while (!pace.isOver()) machine.time += millisecondsPerTurn;
    return machine.time - started;
  };
  return { pace, spin, machine };
}

describe('the pace of an idle processor', () => {
  it('begins with a short look', () => {
    const { spin } = paceOf(0.0001);
    expect(spin()).toBeGreaterThanOrEqual(0.03);
    expect(paceOf(0.0001).spin()).toBeLessThan(0.04);
  });

  it('looks for longer after sleeps that ended soon, up to a bound', () => {
    const { pace, spin } = paceOf(0.0001);
    const first = spin();
    pace.slept(0.1);
    expect(spin()).toBeGreaterThan(1.5 * first);
    for (let i = 0; i < 20; i++) pace.slept(0.1);
    expect(spin()).toBeLessThan(0.3);
  });

  it('is short again after long sleeps', () => {
    const { pace, spin } = paceOf(0.0001);
    for (let i = 0; i < 20; i++) pace.slept(0.1);
    for (let i = 0; i < 20; i++) pace.slept(50);
    expect(spin()).toBeLessThan(0.04);
  });

  it('begins anew with every turn that has work in it', () => {
    const { pace } = paceOf(0);
    for (let i = 0; i < 1000; i++) {
      pace.worked();
      expect(pace.isOver()).toBe(false);
    }
  });

  it('leaves the processor to others who want it, however soon its sleeps end', () => {
    const { pace, spin, machine } = paceOf(0.0001);
    for (let i = 0; i < 20; i++) pace.slept(0.1);
    machine.isBusy = true;
    expect(spin()).toBeLessThan(0.02);
    machine.isBusy = false;
    pace.slept(0.1);
    expect(spin()).toBeGreaterThan(0.2);
  });

  it('notices when somebody comes while it looks', () => {
    const { pace, machine } = paceOf(0);
    for (let i = 0; i < 20; i++) pace.slept(0.1);
    const until = (time: number): boolean => {
      let isOver = false;
      for (; machine.time < time && !isOver; machine.time += 0.0001) isOver = pace.isOver();
      return isOver;
    };
    expect(until(0.1)).toBe(false);
    machine.isBusy = true;
    expect(until(0.12)).toBe(true);
  });

  it('looks at the machine now and then, not at each turn', () => {
    const { pace, spin, machine } = paceOf(0.0001);
    for (let i = 0; i < 20; i++) pace.slept(0.1);
    spin();
    expect(machine.looks).toBeGreaterThan(10);
    expect(machine.looks).toBeLessThan(30);
  });
});
