// Protocol numbers in frames (IANA).

// EtherTypes, in the byte order of a little-endian load from the frame: 0x0800 is 0x0008.
export const TYPE_IPV4: u32 = 0x0008;
export const TYPE_IPV6: u32 = 0xdd86;
/** IEEE 802.1Q. */
export const TYPE_VLAN: u32 = 0x0081;
/** IEEE 802.1ad: the outer tag of two. */
export const TYPE_SERVICE_VLAN: u32 = 0xa888;
/** Transparent Ethernet bridging: Ethernet in GRE. */
export const TYPE_ETHERNET: u32 = 0x5865;

// IP protocols, which are also the next-header values of IPv6.
export const PROTOCOL_HOP_BY_HOP: u32 = 0;
export const PROTOCOL_IPV4: u32 = 4;
export const PROTOCOL_TCP: u32 = 6;
export const PROTOCOL_UDP: u32 = 17;
export const PROTOCOL_IPV6: u32 = 41;
export const PROTOCOL_ROUTING: u32 = 43;
export const PROTOCOL_FRAGMENT: u32 = 44;
export const PROTOCOL_GRE: u32 = 47;
/** Nothing follows. */
export const PROTOCOL_NONE: u32 = 59;
export const PROTOCOL_DESTINATION_OPTIONS: u32 = 60;
