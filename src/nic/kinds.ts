import { CONTROL_QUEUE } from '../../layout/limits.ts';
import type { VfConfig } from '../functions/net/config.ts';
import type { VfEmit } from '../functions/net/types.ts';
import { Vf, type VfState } from '../functions/net/vf.ts';
import type { RngConfig } from '../functions/rng/config.ts';
import { Rng, type RngState } from '../functions/rng/rng.ts';
import type { FunctionEmit } from '../functions/types.ts';
import type { Poller } from '../os/poller.ts';
import { descriptorQuota } from '../processor/budgets.ts';
import type { Fabric, FunctionPlace, NicFunction, PortPlace } from '../processor/fabric.ts';
import type { UplinkEmit } from '../uplinks/types.ts';
import { FunctionSet } from './function-set.ts';
import type { Places } from './places.ts';
import { UplinkSet } from './uplink-set.ts';

/** What functions of every kind get from their NIC. */
export interface Surroundings {
  fabric: Fabric;
  places: Places;
  poller: Poller;
  /** Counts all functions that front-ends attach to: they share the descriptors of the process. */
  functionCount(): number;
  /** Writes what all functions are promised. */
  writePromises(): Promise<void>;
}

/** Is told what happens to functions. */
export interface KindListener {
  onVf: VfEmit;
  onUplink: UplinkEmit;
  /** An uplink was added or removed. */
  onUplinks(): Promise<void>;
  onFunction: FunctionEmit;
}

/**
 * The kinds of functions in a NIC, by their names in the configuration and in the saved state. They
 * are closed in this order and opened in reverse, because VFs follow the state of the uplinks.
 */
export function createKinds(around: Surroundings, listener: KindListener) {
  const uplinks = new UplinkSet(around, listener.onUplink, listener.onUplinks);
  const vfs = createVfs(around, listener.onVf, () => uplinks.isAnyUp);
  const rngs = createRngs(around, listener.onFunction);
  return { vfs, rngs, uplinks };
}

export type Kinds = ReturnType<typeof createKinds>;
type KindName = keyof Kinds;

/** The functions of any one kind. */
interface AnySet {
  all(): readonly NicFunction[];
  configs(): object[];
  add(config: object): Promise<void>;
  remove(name: string): Promise<void>;
  save(now: number): object[];
  restore(states: readonly object[], now: number): void;
  handOver(): Promise<void>;
  leave(): Promise<void>;
}

/** Each kind with its name, in order. */
export function eachKind(kinds: Kinds): [KindName, AnySet][] {
  return Object.entries(kinds) as [KindName, AnySet][];
}

function createVfs(
  { fabric, places, poller, functionCount, writePromises }: Surroundings,
  emit: VfEmit,
  hasUplink: () => boolean,
) {
  return new FunctionSet<VfConfig, PortPlace, VfState, Vf>(places, {
    place: () => places.forPort(CONTROL_QUEUE + 1),
    make: (config, place) => {
      const { queuePairs } = config;
      const quota = () => descriptorQuota({ functions: functionCount(), queuePairs });
      const its = { ...place, hasUplink: hasUplink(), descriptorQuota: quota };
      return new Vf(config, its, fabric, poller, emit);
    },
    writePromises,
  });
}

export function createRngs(
  { fabric, places, poller, functionCount }: Omit<Surroundings, 'writePromises'>,
  emit: FunctionEmit,
) {
  return new FunctionSet<RngConfig, FunctionPlace, RngState, Rng>(places, {
    place: () => places.forFunction(1),
    make: (config, place) => {
      const quota = () => descriptorQuota({ functions: functionCount(), queuePairs: 1 });
      return new Rng(config, { ...place, descriptorQuota: quota }, fabric, poller, emit);
    },
  });
}
