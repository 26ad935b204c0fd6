import { describe, expect, it } from 'vitest';
import { Countdown } from './countdown.ts';

describe('a countdown', () => {
  it('is over on every n-th call', () => {
    const countdown = new Countdown(4);
    const said = Array.from({ length: 12 }, () => countdown.isOver());
    expect(said.flatMap((isOver, call) => (isOver ? [call] : []))).toEqual([3, 7, 11]);
  });

  it('of one call is always over', () => {
    const countdown = new Countdown(1);
    expect([countdown.isOver(), countdown.isOver()]).toEqual([true, true]);
  });
});
