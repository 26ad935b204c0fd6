import type { FrameList, Wire } from './wire.ts';

/** Accepts every frame and delivers none: a cable that leads nowhere. */
export class NullWire implements Wire {
  readonly fd = -1;
  isReadable = false;
  failure: string | null = null;

  receive(): void {
    this.isReadable = false;
  }

  send(frames: FrameList): number {
    return frames.count;
  }
}
