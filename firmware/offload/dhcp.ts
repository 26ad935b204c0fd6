// Replies of DHCP servers. DHCP clients read them through packet sockets, and many (ISC's dhclient,
// udhcpc) do not check whether the checksum is still incomplete: they reject the reply, and the
// guest gets no address. So these checksums are always completed, as in QEMU
// (`work_around_broken_dhclient`).
import { PROTOCOL_UDP, TYPE_IPV4 } from '../../layout/protocols';
import { OFFLOAD_CHECKSUM } from '../../layout/virtqueue';
import { Frame, headerLength } from '../headers/frame';
import { etherType, findNetwork } from '../headers/headers';
import { checksumStartOf } from './metadata';

const UDP_CHECKSUM: u32 = 6;
const IPV4_HEADER_SIZE: u32 = 20;
const IPV4_PROTOCOL: u32 = 9;
/** Port 67 in the byte order of a little-endian load. */
const SERVER_PORT: u16 = 0x4300;

/** Whether a frame is a DHCP reply with an incomplete checksum. */
export function isDhcpReply(frame: Frame): bool {
  if (frame.offload != OFFLOAD_CHECKSUM || frame.checksumOffset != UDP_CHECKSUM) return false;
  const start = checksumStartOf(frame.metadata);
  if (load<u16>(frame.header + start) != SERVER_PORT) return false;
  const ip = findNetwork(frame.header, headerLength(frame));
  if (etherType != TYPE_IPV4 || ip + IPV4_HEADER_SIZE > start) return false;
  return load<u8>(frame.header + ip, IPV4_PROTOCOL) == PROTOCOL_UDP;
}
