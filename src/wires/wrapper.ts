import type { FrameList, SharedMemory, Wire } from './wire.ts';

/** A wire around another. Whatever it does not override, the inner wire decides. */
export abstract class Wrapper implements Wire {
  readonly fd: number;
  protected readonly inner: Wire;

  constructor(inner: Wire) {
    this.inner = inner;
    this.fd = inner.fd;
  }

  abstract receive(frames: FrameList, from: number, to: number, limit: number): void;
  abstract send(frames: FrameList): number;

  get isReadable(): boolean {
    return this.inner.isReadable;
  }

  set isReadable(value: boolean) {
    this.inner.isReadable = value;
  }

  get failure(): string | null {
    return this.inner.failure;
  }

  get roomFd(): number {
    return this.inner.roomFd ?? this.inner.fd;
  }

  get shared(): SharedMemory | undefined {
    return this.inner.shared;
  }

  get wakeAt(): number {
    return this.inner.wakeAt ?? Infinity;
  }

  close(): void {
    this.inner.close?.();
  }
}
