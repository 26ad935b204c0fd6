import { describe, expect, it } from 'vitest';
import type { ThreadState } from './thread-state.ts';
import { type Finding, Vigil } from './vigil.ts';

const BUSY_SECONDS = 2;
const TICK = 0.5;
/** eventfd_write on x86-64 and on arm64: a wait that counts as hanging. */
const WRITE = 1;
const FUTEX = process.arch === 'x64' ? 202 : 98;

const RUNNING: ThreadState = {
  isBlocked: false,
  switches: 7,
  cpuSeconds: 1,
  call: -1,
  sleepsIn: '0',
};
const BLOCKED: ThreadState = {
  ...RUNNING,
  isBlocked: true,
  call: WRITE,
  sleepsIn: 'eventfd_write',
};

interface Tick {
  state?: ThreadState | null;
  seconds?: number;
  beats?: number;
  isResting?: boolean;
}

/** What a vigil finds at the last of some looks; the earlier ones must find nothing. */
function lookAll(ticks: readonly Tick[]): Finding | null {
  const vigil = new Vigil(BUSY_SECONDS);
  const findings = ticks.map(({ state = BLOCKED, seconds = TICK, beats = 0, isResting = false }) =>
    vigil.look({ beats, isResting, seconds, state: () => state }),
  );
  expect(findings.slice(0, -1).every((finding) => finding === null)).toBe(true);
  return findings.at(-1) ?? null;
}

const times = (count: number, tick: (index: number) => Tick): Tick[] =>
  Array.from({ length: count }, (_, index) => tick(index));

describe('a thread without a turn', () => {
  // Two looks to learn the thread's state, then four ticks of half a second.
  it('hangs if it is blocked in one system call for 2 s', () => {
    expect(lookAll(times(6, () => ({})))).toEqual({ how: 'blocked', state: BLOCKED });
    expect(lookAll(times(5, () => ({})))).toBeNull();
  });

  it('hangs if it uses 2 s of CPU time', () => {
    const state = (index: number) => ({ ...RUNNING, cpuSeconds: 1 + index * TICK });
    const found = lookAll(times(6, (index) => ({ state: state(index) })));
    expect(found?.how).toBe('busy');
  });

  it.each<[string, (index: number) => Tick]>([
    ['it rests', () => ({ isResting: true })],
    ['it takes turns', (index) => ({ beats: index })],
    ['others starve it of CPU', () => ({ state: RUNNING })],
    ['it runs occasionally', (i) => ({ state: { ...BLOCKED, switches: i } })],
    ['it waits for another thread', () => ({ state: { ...BLOCKED, call: FUTEX } })],
    [
      'it waits for the kernel to destroy its AIO context',
      () => ({ state: { ...BLOCKED, sleepsIn: '__x64_sys_io_destroy' } }),
    ],
    ['it waits for a grace period', () => ({ state: { ...BLOCKED, sleepsIn: '__wait_rcu_gp' } })],
    ['its state cannot be read', () => ({ state: null })],
    ['our own looks are late: the process may have been stopped', () => ({ seconds: 0 })],
    [
      'CPU time is charged to it while the machine sleeps',
      (index) => ({ state: { ...RUNNING, cpuSeconds: index * 60 }, seconds: 0 }),
    ],
  ])('does not hang if %s', (_, tick) => {
    expect(lookAll(times(100, tick))).toBeNull();
  });

  it('starts over after a turn, but not after a late look', () => {
    const blocked = times(5, () => ({}));
    expect(lookAll([...blocked, ...times(5, () => ({ beats: 1 }))])).toBeNull();
    // The time before a stop counts; the stop itself does not.
    expect(lookAll([...blocked, { seconds: 0 }, {}])?.how).toBe('blocked');
  });
});
