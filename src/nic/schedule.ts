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
    const records = this.#records();
    const gone = [...this.#written].filter((node) => !records.has(node));
    this.#written = new Set(records.keys());
    const changed = [
      ...gone.filter((node) => writePromise(view, node, {})),
      ...[...records].flatMap(([node, record]) => (writePromise(view, node, record) ? [node] : [])),
    ];
    const known = changed.filter((node) => this.#isKnown(node));
    await Promise.all(
      known.map((node) => this.#fabric.broadcast({ kind: 'promise-changed', node })),
    );
  }

  /** The NIC closes: those that stay for a moment longer keep what they have. */
  close(): void {
    this.#isClosed = true;
  }

  #records(): Map<number, Partial<NodePromise>> {
    const { vfs, uplinks } = this.#parts.kinds();
    const records = new Map<number, Partial<NodePromise>>();
    records.set(NODE_ROOT, nicPromise(this.#parts.capacity()));
    const groups = this.groups.configs();
    const shares = groupShares({ vfs: vfs.configs(), groups });
    const totalShare = shares.get(NO_GROUP) ?? 0;
    const known = new Map(groups.map((group) => [group.name, group]));
    for (const { config, node } of this.groups.all()) {
      // While several groups move, one may be below itself for a moment.
      const parent = groupsAbove(config, known) === null ? 0 : this.groups.nodeOf(config.parent);
      const share = shares.get(config.name) ?? 0;
      records.set(node, sendingPromise(config, { parent, share, totalShare }));
    }
    for (const { config, number } of vfs.all()) {
      const place = { parent: this.groups.nodeOf(config.group), share: config.txShare, totalShare };
      records.set(number, { ...sendingPromise(config, place), ...receivingPromise(config) });
    }
    for (const { config, number, capacity } of uplinks.all()) {
      records.set(number, uplinkPromise(capacity, config.overhead));
    }
    return records;
  }

  /** Processors learn of a function with its rings, and read its record then. */
  #isKnown(node: number): boolean {
    const { vfs, uplinks } = this.#parts.kinds();
    const owner = [...vfs.all(), ...uplinks.all()].find(({ number }) => number === node);
    return owner === undefined ? node >= NODE_FIRST_GROUP : owner.rings.queues().length > 0;
  }
}
