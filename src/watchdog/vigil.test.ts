import { describe, expect, it } from 'vitest';
import type { ThreadState } from './thread-state.ts';
import { type Finding, Vigil } from './vigil.ts';

const BUSY_SECONDS = 2;
const TICK = 0.5;
/** eventfd_write: on x86-64 and on arm64, a wait of the harmful sort. */
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

/** What a vigil finds at the last of some looks; none of those before may find anything. */
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
  // Two looks to learn where it stands, then four ticks of half a second.
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
    ['it has turns', (index) => ({ beats: index })],
    ['others starve it of CPU', () => ({ state: RUNNING })],
    ['it runs now and then', (i) => ({ state: { ...BLOCKED, switches: i } })],
    ['it waits for another thread', () => ({ state: { ...BLOCKED, call: FUTEX } })],
    ['nobody can say what it does', () => ({ state: null })],
    ['our own looks come late: it may have been stopped', () => ({ seconds: 0 })],
    [
      'the time it used was none of its own: the machine slept',
      (index) => ({ state: { ...RUNNING, cpuSeconds: index * 60 }, seconds: 0 }),
    ],
  ])('does not hang if %s', (_, tick) => {
    expect(lookAll(times(100, tick))).toBeNull();
  });

  it('is judged anew after a turn, and after a look that came late', () => {
    const blocked = times(5, () => ({}));
    expect(lookAll([...blocked, ...times(5, () => ({ beats: 1 }))])).toBeNull();
    // The time before a stop counts, that of the stop does not.
    expect(lookAll([...blocked, { seconds: 0 }, {}])?.how).toBe('blocked');
  });
});
