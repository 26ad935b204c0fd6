// virtio 1.3. Feature bits are bit numbers, never masks: `1 << 32` is 1 in both languages.

export const VIRTIO_NET_F_MTU: u32 = 3;
export const VIRTIO_NET_F_MAC: u32 = 5;
export const VIRTIO_NET_F_MRG_RXBUF: u32 = 15;
export const VIRTIO_NET_F_STATUS: u32 = 16;
export const VIRTIO_NET_F_CTRL_VQ: u32 = 17;
export const VIRTIO_NET_F_MQ: u32 = 22;
export const VIRTIO_F_ANY_LAYOUT: u32 = 27;
export const VIRTIO_F_INDIRECT_DESC: u32 = 28;
export const VIRTIO_F_EVENT_IDX: u32 = 29;
export const VHOST_USER_F_PROTOCOL_FEATURES: u32 = 30;
export const VIRTIO_F_VERSION_1: u32 = 32;
export const VIRTIO_F_IN_ORDER: u32 = 35;

// struct virtio_net_hdr (5.1.6): flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers.
export const NET_HEADER_SIZE_LEGACY: u32 = 10;
export const NET_HEADER_SIZE: u32 = 12;
export const NET_HEADER_NUM_BUFFERS: u32 = 10;
