// virtio 1.3. Features are bit numbers, not masks: `1 << 32` is 1 in both languages.

export const VIRTIO_NET_F_CSUM: u32 = 0;
export const VIRTIO_NET_F_GUEST_CSUM: u32 = 1;
export const VIRTIO_NET_F_CTRL_GUEST_OFFLOADS: u32 = 2;
export const VIRTIO_NET_F_MTU: u32 = 3;
export const VIRTIO_NET_F_MAC: u32 = 5;
export const VIRTIO_NET_F_GUEST_TSO4: u32 = 7;
export const VIRTIO_NET_F_GUEST_TSO6: u32 = 8;
export const VIRTIO_NET_F_GUEST_ECN: u32 = 9;
export const VIRTIO_NET_F_GUEST_UFO: u32 = 10;
export const VIRTIO_NET_F_HOST_TSO4: u32 = 11;
export const VIRTIO_NET_F_HOST_TSO6: u32 = 12;
export const VIRTIO_NET_F_HOST_ECN: u32 = 13;
export const VIRTIO_NET_F_HOST_UFO: u32 = 14;
export const VIRTIO_NET_F_MRG_RXBUF: u32 = 15;
export const VIRTIO_NET_F_STATUS: u32 = 16;
export const VIRTIO_NET_F_CTRL_VQ: u32 = 17;
export const VIRTIO_NET_F_CTRL_RX: u32 = 18;
export const VIRTIO_NET_F_GUEST_ANNOUNCE: u32 = 21;
export const VIRTIO_NET_F_MQ: u32 = 22;
export const VIRTIO_NET_F_CTRL_MAC_ADDR: u32 = 23;
export const VIRTIO_F_ANY_LAYOUT: u32 = 27;
export const VIRTIO_F_INDIRECT_DESC: u32 = 28;
export const VIRTIO_F_EVENT_IDX: u32 = 29;
export const VHOST_USER_F_PROTOCOL_FEATURES: u32 = 30;
export const VIRTIO_F_VERSION_1: u32 = 32;
export const VIRTIO_F_ACCESS_PLATFORM: u32 = 33;
export const VIRTIO_F_RING_PACKED: u32 = 34;
export const VIRTIO_F_IN_ORDER: u32 = 35;
export const VIRTIO_F_NOTIFICATION_DATA: u32 = 38;
export const VIRTIO_F_RING_RESET: u32 = 40;
export const VIRTIO_NET_F_VQ_NOTF_COAL: u32 = 52;
export const VIRTIO_NET_F_NOTF_COAL: u32 = 53;
export const VIRTIO_NET_F_GUEST_USO4: u32 = 54;
export const VIRTIO_NET_F_GUEST_USO6: u32 = 55;
export const VIRTIO_NET_F_HOST_USO: u32 = 56;
export const VIRTIO_NET_F_HASH_REPORT: u32 = 57;
export const VIRTIO_NET_F_RSS: u32 = 60;
export const VIRTIO_NET_F_SPEED_DUPLEX: u32 = 63;

// struct virtio_net_hdr (5.1.6): flags, gso_type, hdr_len, gso_size, csum_start, csum_offset,
// num_buffers.
export const NET_HEADER_SIZE_LEGACY: u32 = 10;
export const NET_HEADER_SIZE: u32 = 12;
export const NET_HEADER_NUM_BUFFERS: u32 = 10;
/** With HASH_REPORT: le32 hash_value, le16 hash_report, le16 padding follow. */
export const NET_HEADER_SIZE_HASH: u32 = 20;
export const NET_HEADER_HASH_VALUE: u32 = 12;
export const NET_HEADER_HASH_REPORT: u32 = 16;

// flags and gso_type of the header (5.1.6).
export const NET_HEADER_F_NEEDS_CSUM: u32 = 1;
export const NET_HEADER_GSO_TCPV4: u32 = 1;
export const NET_HEADER_GSO_UDP: u32 = 3;
export const NET_HEADER_GSO_TCPV6: u32 = 4;
export const NET_HEADER_GSO_UDP_L4: u32 = 5;
export const NET_HEADER_GSO_ECN: u32 = 0x80;

// struct virtio_net_config, status (5.1.4.2).
export const NET_STATUS_LINK_UP: u32 = 1;

// The control virtqueue (5.1.6.5): u8 class, u8 command, data ‖ u8 ack, result.
export const CONTROL_OK: u32 = 0;
export const CONTROL_ERROR: u32 = 1;
export const CONTROL_RX: u32 = 0;
export const CONTROL_RX_PROMISCUOUS: u32 = 0;
export const CONTROL_RX_ALL_MULTICAST: u32 = 1;
export const CONTROL_MAC: u32 = 1;
export const CONTROL_MAC_TABLE_SET: u32 = 0;
export const CONTROL_MAC_ADDRESS_SET: u32 = 1;
export const CONTROL_ANNOUNCE: u32 = 3;
export const CONTROL_ANNOUNCE_ACK: u32 = 0;
export const CONTROL_MQ: u32 = 4;
export const CONTROL_MQ_PAIRS_SET: u32 = 0;
export const CONTROL_MQ_RSS_CONFIG: u32 = 1;
export const CONTROL_MQ_HASH_CONFIG: u32 = 2;
export const CONTROL_GUEST_OFFLOADS: u32 = 5;
export const CONTROL_GUEST_OFFLOADS_SET: u32 = 0;
export const CONTROL_COALESCING: u32 = 6;
export const CONTROL_COALESCING_TX_SET: u32 = 0;
export const CONTROL_COALESCING_RX_SET: u32 = 1;
export const CONTROL_COALESCING_VQ_SET: u32 = 2;
export const CONTROL_COALESCING_VQ_GET: u32 = 3;

// Hash types (5.1.6.4.3): IPv4 (1), with TCP (2), with UDP (4), and the same for IPv6. A packet's
// type is reported as 1 + its bit number.
export const HASH_TYPE_IPV4: u32 = 1;
export const HASH_TYPE_IPV6: u32 = 8;
/** All supported types: those with IPv6 extension headers are not. */
export const HASH_TYPES: u32 = 63;
export const RSS_KEY_SIZE: u32 = 40;
export const RSS_TABLE_LENGTH_MAX: u32 = 128;
