import { describe, expect, it } from 'vitest';
import {
  DESCRIPTOR_F_NEXT,
  PACKED_F_AVAIL,
  PACKED_F_USED,
  PACKED_WRAP,
} from '../../layout/virtqueue.ts';
import { isServedBeyond, leaveNote, notedPlace } from './packed-place.ts';

const SIZE = 8;
const EVENT = SIZE * 16;
const USED_ODD_LAP = PACKED_F_AVAIL | PACKED_F_USED;

/** A ring with these flags in its slots. A driver has written to each slot. */
function ringOf(flags: readonly number[]): DataView {
  const view = new DataView(new ArrayBuffer(EVENT + 4));
  flags.forEach((one, slot) => {
    view.setBigUint64(slot * 16, 0x1000n, true);
    view.setUint16(slot * 16 + 14, one, true);
  });
  return view;
}

describe('the note of a packed ring', () => {
  it('is read back as written, if the position fits the ring', () => {
    const view = ringOf([]);
    expect(notedPlace(view, EVENT, SIZE)).toBeNull();
    leaveNote(view, EVENT, 5 | PACKED_WRAP);
    expect(notedPlace(view, EVENT, SIZE)).toBe(5 | PACKED_WRAP);
    leaveNote(view, EVENT, SIZE);
    expect(notedPlace(view, EVENT, SIZE)).toBeNull();
  });
});

describe('a packed ring without a note', () => {
  const fresh = new DataView(new ArrayBuffer(EVENT + 4));
  const available = Array.from({ length: SIZE }, () => PACKED_F_AVAIL);
  const firstLap = [...Array(5).fill(USED_ODD_LAP), ...Array(3).fill(PACKED_F_AVAIL)];
  const secondLap = [...Array(5).fill(0), ...Array(3).fill(USED_ODD_LAP)];
  const chains = [USED_ODD_LAP, ...Array(7).fill(PACKED_F_AVAIL)];

  /** Used and made available again, as on a receive ring. */
  const filledAgain = [...Array(5).fill(PACKED_F_USED), ...Array(3).fill(PACKED_F_AVAIL)];
  const filledTwice = [...Array(5).fill(PACKED_F_AVAIL), ...Array(3).fill(PACKED_F_USED)];
  /** Two of this lap, then the rest of a chain of the previous lap, and another whole chain. */
  const rest = [PACKED_F_AVAIL | DESCRIPTOR_F_NEXT, PACKED_F_AVAIL];
  const chainsLeft = [0, PACKED_F_USED, ...rest, USED_ODD_LAP, ...rest, USED_ODD_LAP];

  it.each([
    ['has just been created', fresh, PACKED_WRAP],
    ['has been filled', ringOf(available), PACKED_WRAP],
    ['is in its first lap', ringOf(firstLap), 5 | PACKED_WRAP],
    ['is in its second lap', ringOf(secondLap), 5],
    ['is in its second lap, after chains', ringOf(chainsLeft), 2],
    ['begins its third lap', ringOf(Array(SIZE).fill(0)), PACKED_WRAP],
  ])('resumes at the claimed position if it %s', (_, view, place) => {
    expect(isServedBeyond(view, 0, SIZE, place)).toBe(false);
  });

  it.each([
    ['in its first lap', ringOf(firstLap), PACKED_WRAP],
    ['in its first lap, after one chain', ringOf(chains), PACKED_WRAP],
    ['in its first lap, from further on', ringOf(firstLap), 3 | PACKED_WRAP],
    ['in its second lap', ringOf(secondLap), PACKED_WRAP],
    ['in its first lap, filled again', ringOf(filledAgain), PACKED_WRAP],
    ['in its second lap, filled again', ringOf(filledTwice), PACKED_WRAP],
    ['in its second lap, at a claimed position', ringOf(secondLap), 2],
  ])('cannot resume where it began: one %s', (_, view, place) => {
    expect(isServedBeyond(view, 0, SIZE, place)).toBe(true);
  });
});
