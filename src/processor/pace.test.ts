import { describe, expect, it } from 'vitest';
import { Pace } from './pace.ts';

/** A pace with a clock that each look moves on by so many milliseconds a turn. */
function paceOf(millisecondsPerTurn: number) {
  let now = 0;
  const pace = new Pace(() => now);
  /** Milliseconds that it looks before it would sleep. */
  const spin = (): number => {
    const started = now;
    while (!pace.isOver()) now += millisecondsPerTurn;
    return now - started;
  };
  return { pace, spin };
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
});
