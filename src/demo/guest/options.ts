/** A guest to boot. */
export interface GuestOptions {
  readonly name: string;
  readonly mac: string;
  /** The VF's vhost-user socket. */
  readonly socket: string;
  /** `client` (default): QEMU connects to the NIC. `server`: QEMU listens, and the NIC connects. */
  readonly socketMode?: 'client' | 'server';
  /** The address of eth0 with its prefix length, such as `10.0.0.1/24`. */
  readonly address?: string;
  readonly queuePairs?: number;
  /** Virtual CPUs. Default: one per queue pair. */
  readonly processors?: number;
  readonly memoryMiB?: number;
  /** `private`: not shared, which rules vhost-user out. */
  readonly memory?: 'memfd' | 'hugetlb' | 'private';
  /** QEMU's `-netdev` without its id, for a guest that is not on a VF: `stream,server=off,…`. */
  readonly netdev?: string;
  /** The machine has an (Intel) IOMMU, and its NIC is behind it. */
  readonly iommu?: boolean;
  /** Further properties of QEMU's virtio-net-pci, such as `mrg_rxbuf=off`. */
  readonly deviceProperties?: readonly string[];
  /** The vhost-user socket on which the NIC serves an entropy device. */
  readonly rngSocket?: string;
  /** The path on which QEMU accepts QMP commands. */
  readonly monitorSocket?: string;
}
