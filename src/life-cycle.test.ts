import { describe, expect, it } from 'vitest';
import { FUNCTION_TRANSITIONS } from './functions/function-state.ts';
import { LifeCycle, type Transitions } from './life-cycle.ts';
import { SESSION_TRANSITIONS } from './vhost-user/session-state.ts';
import { RING_TRANSITIONS } from './virtqueue/life-cycle.ts';

const TABLES: readonly [string, Transitions<string>][] = [
  ['VF', FUNCTION_TRANSITIONS],
  ['session', SESSION_TRANSITIONS],
  ['ring', RING_TRANSITIONS],
];

describe.each(TABLES)('the life cycle of a %s', (name, table) => {
  const states = Object.keys(table);
  const pairs = states.flatMap((from) => states.map((to) => [from, to] as const));

  it.each(pairs)('from %s to %s follows the table', (from, to) => {
    const cycle = new LifeCycle(name, table, from);
    const isAllowed = from === to || (table[from]?.includes(to) ?? false);
    if (isAllowed) {
      cycle.to(to);
      expect(cycle.state).toBe(to);
    } else {
      expect(() => cycle.to(to)).toThrow(`assertion: ${name} cannot go from ${from} to ${to}`);
      expect(cycle.state, 'is unchanged').toBe(from);
    }
  });

  it('names only states that it has', () => {
    for (const followers of Object.values(table)) {
      for (const state of followers) expect(states).toContain(state);
    }
  });

  it('reaches every state from the first', () => {
    const reached = new Set([states[0] ?? '']);
    for (const state of reached) for (const next of table[state] ?? []) reached.add(next);
    expect([...reached].sort()).toEqual([...states].sort());
  });
});

describe('what must never be possible', () => {
  it('a faulted ring runs again without having been stopped', () => {
    expect(RING_TRANSITIONS.faulted).toEqual(['stopped']);
  });

  it('a closed session does anything', () => {
    expect(SESSION_TRANSITIONS.closed).toEqual([]);
  });

  it('a VF without a front-end is ready or faulted', () => {
    expect(FUNCTION_TRANSITIONS.down).toEqual(['connected']);
  });
});
