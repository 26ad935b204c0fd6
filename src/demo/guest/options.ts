/** A guest to be booted. */
export interface GuestOptions {
  readonly name: string;
  readonly mac: string;
  /** The VF's vhost-user socket. */
  readonly socket: string;
  /** `client` (default): QEMU connects to the NIC. `server`: QEMU listens and the NIC connects. */
  readonly socketMode?: 'client' | 'server';
  /** The address of eth0 with its prefix length, like `10.0.0.1/24`. */
  readonly address?: string;
  readonly queuePairs?: number;
  /** Virtual CPUs; as many as queue pairs unless told. */
  readonly processors?: number;
  readonly memoryMiB?: number;
  /** `private`: nobody else can see it, which rules vhost-user out. */
  readonly memory?: 'memfd' | 'hugetlb' | 'private';
  /** QEMU's `-netdev` without its id, for a guest that is not on a VF: `stream,server=off,…`. */
  readonly netdev?: string;
  /** The machine has an (Intel) IOMMU, and the NIC is behind it. */
  readonly iommu?: boolean;
  /** What QEMU's virtio-net-pci is told besides, like `mrg_rxbuf=off`. */
  readonly deviceProperties?: readonly string[];
  /** The vhost-user socket of an entropy device, on which the NIC listens. */
  readonly rngSocket?: string;
  /** Where QEMU listens for commands of its own (QMP). */
  readonly monitorSocket?: string;
}
