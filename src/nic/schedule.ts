import { NODE_FIRST_GROUP, NODE_ROOT } from '../../layout/limits.ts';
import { groupShares, groupsAbove } from '../config/sharing.ts';
import { NO_GROUP } from '../config/sharing-schema.ts';
import type { Fabric } from '../processor/fabric.ts';
import {
  type NodePromise,
  nicPromise,
  receivingPromise,
  sendingPromise,
  uplinkPromise,
  writePromise,
} from '../state/promises.ts';
import { Groups } from './groups.ts';
import type { Kinds } from './kinds.ts';

interface Node {
  promise: NodePromise;
  /** Processors learn of a function with its rings, and read its record then. */
  isKnown: boolean;
}

interface Parts {
  kinds(): Pick<Kinds, 'vfs' | 'uplinks'>;
  /** Of the NIC, in bit/s; 0: unlimited. */
  capacity(): number;
}

/**
 * The groups, and what each node of the schedule is promised: VFs, uplinks, groups and the NIC. The
 * processor time of a guarantee depends on all others, so all records are written again after each
 * change, which costs little where they stay the same.
 */
export class Schedule {
  readonly groups: Groups;
  readonly #fabric: Fabric;
  readonly #parts: Parts;
  /** Nodes with a record. */
  #written = new Set<number>();
  #isClosed = false;

  constructor(fabric: Fabric, parts: Parts) {
    this.#fabric = fabric;
    this.#parts = parts;
    this.groups = new Groups({
      shared: fabric.shared,
      vfs: () => parts.kinds().vfs.configs(),
      writePromises: () => this.write(),
    });
  }

  /** Resolves when the processors know what has changed. */
  async write(): Promise<void> {
    if (this.#isClosed) return;
    const { view } = this.#fabric.shared;
    const nodes = this.#nodes();
    const left = [...this.#written].filter((node) => !nodes.has(node));
    this.#written = new Set(nodes.keys());
    for (const node of left) nodes.set(node, gone(node));
    const changed: number[] = [];
    for (const [node, { promise, isKnown }] of nodes) {
      if (writePromise(view, node, promise) && isKnown) changed.push(node);
    }
    await Promise.all(
      changed.map((node) => this.#fabric.broadcast({ kind: 'promise-changed', node })),
    );
  }

  /** The NIC closes: those that stay for a moment longer keep what they have. */
  close(): void {
    this.#isClosed = true;
  }

  /** Groups before what is in them. */
  #nodes(): Map<number, Node> {
    const { vfs, uplinks } = this.#parts.kinds();
    const groups = this.groups.configs();
    const shares = groupShares({ vfs: vfs.configs(), groups });
    const totalShare = shares.get(NO_GROUP) ?? 0;
    const known = new Map(groups.map((group) => [group.name, group]));
    const nodes = new Map<number, Node>();
    nodes.set(NODE_ROOT, { promise: nicPromise(this.#parts.capacity()), isKnown: true });
    for (const { config, node } of this.groups.all()) {
      // While several groups move, one may be below itself for a moment.
      const parent = groupsAbove(config, known) === null ? 0 : this.groups.nodeOf(config.parent);
      const share = shares.get(config.name) ?? 0;
      const promise = sendingPromise(config, { parent, share, totalShare });
      nodes.set(node, { promise, isKnown: true });
    }
    for (const { config, number, rings } of vfs.all()) {
      const parent = this.groups.nodeOf(config.group);
      const sending = sendingPromise(config, { parent, share: config.txShare, totalShare });
      const promise = { ...sending, ...receivingPromise(config) };
      nodes.set(number, { promise, isKnown: rings.queues().length > 0 });
    }
    for (const { config, number, capacity, rings } of uplinks.all()) {
      const promise = uplinkPromise(capacity, config.overhead);
      nodes.set(number, { promise, isKnown: rings.queues().length > 0 });
    }
    return nodes;
  }
}

/** A node that promises nothing any more. Of functions without rings, no processor knows. */
function gone(node: number): Node {
  return { promise: {}, isKnown: node >= NODE_FIRST_GROUP };
}
