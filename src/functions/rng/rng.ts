import { COUNTER_REFUSED } from '../../../layout/counters.ts';
import { ANSWER_SIZE_MAX } from '../../../layout/limits.ts';
import * as virtio from '../../../layout/virtio.ts';
import { RING_FLAGS } from '../../../layout/virtqueue.ts';
import type { Poller } from '../../os/poller.ts';
import { randomBytes } from '../../os/random.ts';
import type { Fabric, FunctionPlace, NicFunction } from '../../processor/fabric.ts';
import type { FunctionView } from '../../processor/function-view.ts';
import type { RingRole } from '../../processor/mailbox.ts';
import { readControl } from '../../state/counters.ts';
import type { RingBlock } from '../../state/ring-numbers.ts';
import type { RingProblem } from '../../state/ring-problem.ts';
import { CONFIG_SPACE_SIZE, type Device, type FrontEndTraits } from '../../vhost-user/device.ts';
import { featureSet, namesOfFeatures } from '../../virtqueue/features.ts';
import type { Ring } from '../../virtqueue/ring.ts';
import type { RingDevice } from '../../virtqueue/ring-device.ts';
import { RingSet, type RingSetState } from '../../virtqueue/ring-set.ts';
import { ringFlags } from '../../virtqueue/ring-setup.ts';
import { Attachment, type AttachmentState } from '../attachment.ts';
import { ringInfos } from '../ring-info.ts';
import type { FunctionEmit, FunctionInfo } from '../types.ts';
import type { RngConfig } from './config.ts';

/** The only virtqueue (5.4.2). */
const REQUEST_QUEUE = 0;

/** This device type has no feature bits (5.4.3), only the general ones. */
const FEATURES = {
  VERSION_1: virtio.VIRTIO_F_VERSION_1,
  INDIRECT_DESC: virtio.VIRTIO_F_INDIRECT_DESC,
  EVENT_IDX: virtio.VIRTIO_F_EVENT_IDX,
  RING_PACKED: virtio.VIRTIO_F_RING_PACKED,
  IN_ORDER: virtio.VIRTIO_F_IN_ORDER,
  ACCESS_PLATFORM: virtio.VIRTIO_F_ACCESS_PLATFORM,
  PROTOCOL_FEATURES: virtio.VHOST_USER_F_PROTOCOL_FEATURES,
};

const OFFERED = featureSet(Object.values(FEATURES));
const ONLY_WITH_CHANNEL = featureSet([FEATURES.ACCESS_PLATFORM]);

export interface RngState {
  config: RngConfig;
  number: number;
  processor: number;
  ringBlock: RingBlock;
  attachment: AttachmentState;
  rings: RingSetState;
}

/**
 * An entropy device (virtio 1.3, 5.4). Its driver posts buffers and gets them back with random
 * bytes from the kernel. A buffer may be filled in part (5.4.6.1): ANSWER_SIZE_MAX bytes at most.
 */
export class Rng implements Device, RingDevice, NicFunction {
  readonly number: number;
  readonly processor: number;
  readonly ringBlock: RingBlock;
  readonly rings: RingSet;
  readonly protocolFeatures = 0n;
  readonly config: RngConfig;
  readonly #fabric: Fabric;
  readonly #attachment: Attachment;
  readonly #descriptorQuota: () => number;

  constructor(
    config: RngConfig,
    place: FunctionPlace & { descriptorQuota(): number },
    fabric: Fabric,
    poller: Poller,
    emit: FunctionEmit,
  ) {
    this.config = config;
    this.number = place.number;
    this.processor = place.processor;
    this.ringBlock = place.ringBlock;
    this.#descriptorQuota = place.descriptorQuota;
    this.#fabric = fabric;
    this.rings = new RingSet(place, () => this.processor, fabric, this);
    this.#attachment = new Attachment(this, poller, {
      emit: (what, detail) => emit({ function: this.name, kind: 'rng', what, ...detail }),
      health: () => fabric.healthOf(this.processor),
      onBegin: () => undefined,
      onEnd: () => null,
    });
  }

  get name(): string {
    return this.config.name;
  }

  get allowUnsealedMemory(): boolean {
    return this.config.allowUnsealedMemory;
  }

  get descriptorQuota(): number {
    return this.#descriptorQuota();
  }

  get startProblem(): RingProblem | null {
    return this.#attachment.startProblem;
  }

  open(): void {
    this.#attachment.open(this.config);
  }

  /** `now`: monotonic milliseconds. */
  save(now: number): RngState {
    return {
      ...structuredClone({ config: this.config, ringBlock: this.ringBlock }),
      ...{ number: this.number, processor: this.processor },
      attachment: this.#attachment.save(now),
      rings: this.rings.save(),
    };
  }

  /** Replaces `open`. */
  restore(state: RngState, now: number): void {
    this.#attachment.restore(state.attachment, now, this.config);
    const setupOf = (queue: number) => this.#attachment.session?.rings.knownSetup(queue);
    this.rings.restore(state.rings, setupOf);
  }

  /** Everything it holds now belongs to a successor, which is created from what this one saved. */
  async handOver(): Promise<void> {
    await this.#attachment.handOver();
    this.rings.handOver();
  }

  close(): Promise<void> {
    return this.#attachment.close();
  }

  offeredFeatures({ hasChannel = true }: FrontEndTraits): bigint {
    // Without a back-end channel, the front-end cannot be asked about I/O virtual addresses.
    return hasChannel ? OFFERED : OFFERED & ~ONLY_WITH_CHANNEL;
  }

  isAcceptable(features: bigint): boolean {
    return (features & ~OFFERED) === 0n;
  }

  roleOf(queue: number): RingRole | null {
    return queue === REQUEST_QUEUE ? 'request' : null;
  }

  placeOf(queue: number): number {
    return queue;
  }

  queueCount(): number {
    return 1;
  }

  readConfig(): Uint8Array {
    return new Uint8Array(CONFIG_SPACE_SIZE); // 5.4.4: there is none
  }

  describe(ring: Ring): void {
    this.#fabric.shared.setRingField(ring.number, RING_FLAGS, ringFlags(ring.features));
  }

  /** A request: a chain of writable buffers with room for `room` bytes. */
  async onRequest(bytes: Uint8Array | null, room: number): Promise<Uint8Array> {
    // The driver must not post readable buffers (5.4.6.1). They are returned unchanged.
    if (bytes === null || bytes.length > 0 || room === 0) {
      this.#fabric.shared.count(this.ringBlock.first + REQUEST_QUEUE, COUNTER_REFUSED);
      return new Uint8Array(0);
    }
    return randomBytes(Math.min(room, ANSWER_SIZE_MAX));
  }

  async onFreshStart(): Promise<void> {}
  async publish(): Promise<void> {}
  async reset(): Promise<void> {}
  forgetQueue(): void {}

  view(): FunctionView {
    const translations = this.#attachment.session?.iommu.translations() ?? [];
    return { port: null, translations, wires: [], ...this.rings.view() };
  }

  isServedBy(processor: number): boolean {
    return processor === this.processor;
  }

  setAside(reason: string): Promise<void> {
    return this.#attachment.setAside(reason);
  }

  onRingFault(place: number, problem: RingProblem): Promise<void> {
    return this.#attachment.onRingFault(place, problem);
  }

  onUntranslated(iova: bigint, access: number): void {
    this.#attachment.onUntranslated(iova, access);
  }

  onOutside(address: bigint): void {
    this.#attachment.onOutside(address);
  }

  info(): FunctionInfo {
    const { session, state, lastFault } = this.#attachment;
    const counters = readControl(this.#fabric.shared, this.ringBlock.first + REQUEST_QUEUE);
    return {
      ...this.config,
      kind: 'rng',
      state,
      processor: this.processor,
      features: namesOfFeatures(session?.features ?? 0n, FEATURES),
      rings: ringInfos(this.rings),
      memoryBytes: session?.memory.sizeBytes ?? 0,
      ...(counters === undefined ? {} : { counters }),
      ...(lastFault === undefined ? {} : { lastFault }),
    };
  }
}
