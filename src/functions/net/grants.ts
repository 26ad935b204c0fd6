import { VIRTIO_NET_F_MTU } from '../../../layout/virtio.ts';
import { processIdentity } from '../../os/unix-socket.ts';
import type { Session } from '../../vhost-user/session.ts';
import { hasFeature } from '../../virtqueue/features.ts';
import type { VfConfig } from './config.ts';
import { featureNames, offeredFeatures } from './features.ts';
import { controlQueueOf } from './ring-features.ts';

/** What a VF offers to the current front-end. */
export interface Terms {
  disabledFeatures: readonly string[];
  enabledFeatures: readonly string[];
  /** Offered in any case, because the guest of this VMM has acknowledged them. */
  keptFeatures: bigint;
  queuePairs: number;
  mtu: number;
}

/** What a VMM was given and relies on until it is restarted. */
interface Grant {
  features: bigint;
  keepsConfigSpace: boolean;
  /** Queue pairs up to the last one of which it has named a ring. */
  pairs: number;
  /**
   * Set if it has named the control queue, which comes after all pairs: their number must not
   * change.
   */
  fixedPairs: number | null;
  mtu: number;
}

export interface GrantsState {
  vmm: string;
  grant: Grant | null;
  terms: Terms;
  hangUps: number;
  vmmMtu: number;
}

/** After this many hang-ups right after learning what the VF offers, the NIC reports them. */
const HANG_UPS_MAX = 3;

/**
 * What the VMM of a VF has been given so far. A running guest cannot renegotiate, and QEMU cannot
 * be made to accept less when it reconnects: it would hang up and retry forever. So what a VMM
 * process relies on is offered to it as long as it lives, whatever the configuration says. The next
 * process gets the VF as configured.
 */
export class Grants {
  /** The process that holds the grant. */
  #vmm = '';
  #grant: Grant | null = null;
  #terms: Terms;
  #hangUps = 0;
  /** The guest's MTU according to the front-end; 0: not set. */
  vmmMtu = 0;

  constructor(config: VfConfig) {
    this.#terms = termsOf(config, null);
  }

  get terms(): Terms {
    return this.#terms;
  }

  save(): GrantsState {
    return structuredClone({
      vmm: this.#vmm,
      grant: this.#grant,
      terms: this.#terms,
      hangUps: this.#hangUps,
      vmmMtu: this.vmmMtu,
    });
  }

  restore(state: GrantsState): void {
    const { vmm, grant, terms, hangUps, vmmMtu } = structuredClone(state);
    this.#vmm = vmm;
    this.#grant = grant;
    this.#terms = terms;
    this.#hangUps = hangUps;
    this.vmmMtu = vmmMtu;
  }

  /** A front-end has connected: a new process, or the one that holds the grant. */
  begin(vmm: string, config: VfConfig): void {
    if (vmm !== this.#vmm) {
      this.#grant = null;
      this.#hangUps = 0;
    }
    this.#vmm = vmm;
    this.vmmMtu = 0;
    this.#terms = termsOf(config, this.#grant);
  }

  /** The configuration has changed while no front-end is connected. */
  settle(config: VfConfig): void {
    this.#terms = termsOf(config, null);
  }

  /** A session has ended. Returns what to report if it is one of many that came to nothing. */
  end(session: Session): string | null {
    if (session.features !== 0n) {
      this.#grant = grantOf(session, this.#terms, this.vmmMtu);
      this.#hangUps = 0;
      return null;
    }
    if (session.wasAsked) this.#hangUps += 1;
    if (this.#hangUps < HANG_UPS_MAX) return null;
    return (
      `the VMM (process ${this.#vmm.split(':')[0]}) hangs up when it has read what the VF offers, ` +
      `${this.#hangUps} times so far: it was started with more features or queue pairs than that. ` +
      'Restart the VMM, or give the VF what it had before'
    );
  }

  /**
   * The parts of a changed configuration that the VMM keeps from taking effect, as long as it is
   * attached or may come back: what it keeps, in words.
   */
  held(session: Session | null, config: VfConfig): string[] {
    const grant = this.#current(session);
    if (grant === null) return [];
    const lacking = grant.features & ~offeredFeatures(config, grant);
    const { fixedPairs } = grant;
    const pairs = fixedPairs === null ? grant.pairs : fixedPairs;
    const isPairsHeld =
      fixedPairs === null ? pairs > config.queuePairs : pairs !== config.queuePairs;
    return [
      ...(lacking === 0n ? [] : [featureNames(lacking).join(', ')]),
      ...(isPairsHeld ? [`${pairs} queue pair${pairs === 1 ? '' : 's'}`] : []),
      ...(grant.mtu > config.mtu ? [`an MTU of ${grant.mtu}`] : []),
    ];
  }

  /** Whether the session was offered exactly what a changed configuration offers. */
  suits({ keepsConfigSpace }: Session, config: VfConfig): boolean {
    const { queuePairs, mtu } = this.#terms;
    const offered = offeredFeatures(this.#terms, { keepsConfigSpace });
    return (
      offered === offeredFeatures(config, { keepsConfigSpace }) &&
      queuePairs === config.queuePairs &&
      mtu === config.mtu
    );
  }

  #current(session: Session | null): Grant | null {
    if (session !== null && session.features !== 0n)
      return grantOf(session, this.#terms, this.vmmMtu);
    const isAlive =
      session !== null || processIdentity(Number.parseInt(this.#vmm, 10)) === this.#vmm;
    return isAlive ? this.#grant : null;
  }
}

function termsOf(config: VfConfig, grant: Grant | null): Terms {
  const { disabledFeatures, enabledFeatures, queuePairs, mtu } = config;
  return {
    disabledFeatures,
    enabledFeatures,
    keptFeatures: grant?.features ?? 0n,
    queuePairs: grant?.fixedPairs ?? Math.max(queuePairs, grant?.pairs ?? 0),
    mtu: Math.max(mtu, grant?.mtu ?? 0),
  };
}

function grantOf(session: Session, terms: Terms, vmmMtu: number): Grant {
  const { features, keepsConfigSpace } = session;
  const { known } = session.rings;
  const controlQueue = controlQueueOf(features & offeredFeatures(terms), terms.queuePairs);
  const hasControl = controlQueue !== null && known.has(controlQueue);
  const pairs = [...known]
    .filter((queue) => queue !== controlQueue)
    .map((queue) => Math.floor(queue / 2) + 1);
  const isMtuTold = !keepsConfigSpace && hasFeature(features, VIRTIO_NET_F_MTU);
  return {
    // A front-end with its own control queue acknowledges that, and more with it: not ours to keep.
    features: features & offeredFeatures(terms, { keepsConfigSpace }),
    keepsConfigSpace,
    pairs: Math.max(0, ...pairs),
    fixedPairs: hasControl ? terms.queuePairs : null,
    mtu: Math.max(vmmMtu <= terms.mtu ? vmmMtu : 0, isMtuTold ? terms.mtu : 0),
  };
}
