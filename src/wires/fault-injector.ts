import { performance } from 'node:perf_hooks';
import { NET_HEADER_SIZE } from '../../layout/virtio.ts';
import { FRAME_ROOM, type PairMemory, WIRE_INJECTED } from './port-memory.ts';
import { alignUp, BURST_MAX, FrameList, type Wire } from './wire.ts';
import { Wrapper } from './wrapper.ts';

/**
 * What goes wrong and how often: probabilities from 0 to 1 per frame. The same seed gives the same
 * faults.
 */
export interface FaultSettings {
  seed: number;
  drop: number;
  /** One bit of the frame is flipped. */
  corrupt: number;
  /** The frame is swapped with the next one. */
  reorder: number;
  /** Received frames are delayed by this much. */
  delayMilliseconds: number;
  /** Sent frames leave no faster than this; 0: no limit. */
  rateMbps: number;
}

const PASSED = 0;
const LOST = 1;
const HELD_FRAMES_MAX = 256;
const BURST_BITS = 200_000;

/**
 * A wire around another that loses, damages, delays and slows its frames, for testing what uses it.
 */
export class FaultInjector extends Wrapper {
  readonly #memory: PairMemory;
  readonly #settings: FaultSettings;
  #random: number;
  /** Frames held back, in the order of their times. */
  readonly #held: Uint8Array;
  readonly #heldLengths = new Uint32Array(HELD_FRAMES_MAX);
  readonly #heldUntil = new Float64Array(HELD_FRAMES_MAX);
  #heldFirst = 0;
  #heldCount = 0;
  readonly #kept = new FrameList();
  /** Received frames that go no further in place. */
  readonly #dropped = new FrameList();
  /** What was decided about the frames to be sent that wait at the front. */
  readonly #verdicts = new Uint8Array(BURST_MAX);
  #judged = 0;
  #bits = BURST_BITS;
  #pausedUntil = Infinity;
  #filledAt = performance.now();

  constructor(inner: Wire, settings: FaultSettings, memory: PairMemory) {
    super(inner);
    this.#settings = settings;
    this.#memory = memory;
    this.#random = settings.seed >>> 0 || 1;
    const isDelaying = settings.delayMilliseconds > 0;
    this.#held = new Uint8Array(isDelaying ? HELD_FRAMES_MAX * FRAME_ROOM : 0);
  }

  override get isReadable(): boolean {
    const isDue =
      this.#heldCount > 0 && (this.#heldUntil[this.#heldFirst] ?? 0) <= performance.now();
    return isDue || (this.inner.isReadable && this.#heldCount < HELD_FRAMES_MAX);
  }

  override set isReadable(value: boolean) {
    this.inner.isReadable = value;
  }

  override get wakeAt(): number {
    const held = this.#heldCount > 0 ? (this.#heldUntil[this.#heldFirst] ?? 0) : Infinity;
    return Math.min(held, this.#pausedUntil, super.wakeAt);
  }

  receive(frames: FrameList, from: number, to: number, limit: number): void {
    const isDelaying = this.#settings.delayMilliseconds > 0;
    const room = isDelaying ? Math.min(limit, HELD_FRAMES_MAX - this.#heldCount) : limit;
    if (room > 0 && this.inner.isReadable) this.inner.receive(frames, from, to, room);
    this.#harm(frames);
    if (isDelaying) this.#hold(frames, from, to, limit);
  }

  send(frames: FrameList): number {
    const allowed = this.#settings.rateMbps > 0 ? this.#pace(frames) : frames.count;
    const out = this.#kept;
    out.count = 0;
    for (let i = 0; i < allowed; i++) {
      this.#judge(frames, i);
      if (this.#verdicts[i] === LOST) continue;
      out.add(frames.starts[i] ?? 0, frames.lengths[i] ?? 0, frames.wrapped[i] ?? 0);
    }
    const sent = out.count === 0 ? 0 : this.inner.send(out);
    return this.#settle(allowed, sent, out.count);
  }

  /** Each frame gets one verdict, even if it has to wait and comes again. */
  #judge(frames: FrameList, index: number): void {
    if (index < this.#judged) return;
    this.#judged = index + 1;
    this.#verdicts[index] = PASSED;
    if (this.#happens(this.#settings.drop)) {
      this.#verdicts[index] = LOST;
      this.#note();
    } else this.#corrupt(frames, index);
  }

  /**
   * The number of frames settled once `sent` of those kept are gone; includes the lost ones before
   * and among them.
   */
  #settle(allowed: number, sent: number, kept: number): number {
    let settled = 0;
    let left = sent;
    for (; settled < allowed; settled++) {
      if (this.#verdicts[settled] === LOST) continue;
      if (left === 0) break;
      left -= 1;
    }
    if (sent === kept) settled = allowed;
    this.#verdicts.copyWithin(0, settled);
    this.#judged = Math.max(0, this.#judged - settled);
    return settled;
  }

  /** Drops, damages and swaps received frames. */
  #harm(frames: FrameList): void {
    let kept = 0;
    this.#dropped.count = 0;
    for (let i = 0; i < frames.count; i++) {
      if (this.#happens(this.#settings.drop)) {
        this.#note();
        this.#dropped.add(frames.starts[i] ?? 0, 0, 0);
        continue;
      }
      this.#corrupt(frames, i);
      frames.starts[kept] = frames.starts[i] ?? 0;
      frames.lengths[kept] = frames.lengths[i] ?? 0;
      kept += 1;
    }
    frames.count = kept;
    if (this.#dropped.count > 0) this.inner.shared?.reclaim(this.#dropped);
    for (let i = 0; i + 1 < kept; i++) {
      if (!this.#happens(this.#settings.reorder)) continue;
      this.#note();
      swap(frames.starts, i);
      swap(frames.lengths, i);
    }
  }

  #corrupt(frames: FrameList, index: number): void {
    if (!this.#happens(this.#settings.corrupt)) return;
    this.#note();
    const length = (frames.lengths[index] ?? 0) - NET_HEADER_SIZE;
    const place = NET_HEADER_SIZE + Math.floor(this.#next() * length);
    const at = (frames.starts[index] ?? 0) + place;
    this.#memory.bytes[at] = (this.#memory.bytes[at] ?? 0) ^ (1 << Math.floor(this.#next() * 8));
  }

  /** Moves new frames behind those held, and those that are due into the list. */
  #hold(frames: FrameList, from: number, to: number, limit: number): void {
    const { bytes } = this.#memory;
    const until = performance.now() + this.#settings.delayMilliseconds;
    for (let i = 0; i < frames.count; i++) {
      const place = (this.#heldFirst + this.#heldCount) % HELD_FRAMES_MAX;
      const start = frames.starts[i] ?? 0;
      const length = frames.lengths[i] ?? 0;
      this.#held.set(bytes.subarray(start, start + length), place * FRAME_ROOM);
      this.#heldLengths[place] = length;
      this.#heldUntil[place] = until;
      this.#heldCount += 1;
    }
    if (frames.count > 0) this.inner.shared?.reclaim(frames);
    frames.count = 0;
    let at = from;
    while (this.#heldCount > 0 && frames.count < limit) {
      const length = this.#heldLengths[this.#heldFirst] ?? 0;
      if ((this.#heldUntil[this.#heldFirst] ?? 0) > performance.now() || at + length > to) break;
      const place = this.#heldFirst * FRAME_ROOM;
      bytes.set(this.#held.subarray(place, place + length), at);
      frames.add(at, length, 0);
      at = alignUp(at + length);
      this.#heldFirst = (this.#heldFirst + 1) % HELD_FRAMES_MAX;
      this.#heldCount -= 1;
    }
  }

  /** How many frames may leave now (a token bucket); sets the time to ask again. */
  #pace(frames: FrameList): number {
    const now = performance.now();
    const bitsPerMillisecond = this.#settings.rateMbps * 1000;
    this.#bits = Math.min(BURST_BITS, this.#bits + (now - this.#filledAt) * bitsPerMillisecond);
    this.#filledAt = now;
    let count = 0;
    while (count < frames.count && this.#bits > 0) {
      this.#bits -= ((frames.lengths[count] ?? 0) + (frames.wrapped[count] ?? 0)) * 8;
      count += 1;
    }
    const isOver = count < frames.count;
    this.#pausedUntil = isOver ? now + Math.max(1, -this.#bits / bitsPerMillisecond) : Infinity;
    return count;
  }

  #happens(chance: number): boolean {
    return chance > 0 && this.#next() < chance;
  }

  /** xorshift32, from 0 to 1. */
  #next(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x >>> 0;
    return this.#random / 0x100000000;
  }

  #note(): void {
    const { counters } = this.#memory;
    counters[WIRE_INJECTED] = (counters[WIRE_INJECTED] ?? 0) + 1;
  }
}

function swap(list: Uint32Array, index: number): void {
  const first = list[index] ?? 0;
  list[index] = list[index + 1] ?? 0;
  list[index + 1] = first;
}
