// What a reader must know about each suite to read its figures.

import type { SuiteName } from '../sample.ts';

export const suiteTitles: Readonly<Record<SuiteName, string>> = {
  forward: 'Forward: a closed loop between two ports',
  'open-loop': 'Open loop: the highest rate without loss',
  latency: 'Latency: one frame there and back',
  scale: 'Scale: up to 64 VFs',
  windows: 'Windows: guests whose buffers lie in too many places',
  idle: 'Idle: VFs with nothing to say',
  allocation: 'Allocation: what the garbage collector has to do',
  offload: 'Offload: super-frames and packed rings',
  uplinks: 'Uplinks: between a guest and the world',
  vm: 'Virtual machines: two Linux guests under QEMU',
  checks: 'Checks: what safety costs',
};

export const suiteTexts: Readonly<Record<SuiteName, string>> = {
  forward:
    'Two virtio-user ports of testpmd send to each other what they receive; 512 frames ' +
    'circulate. Rates count both directions. Sizes are without the checksum of 4 bytes. IMIX ' +
    '(7 × 64 B, 4 × 576 B, 1 × 1500 B of 12 frames) is sent by the project’s own driver, ' +
    'because testpmd sends one size at a time. Rings are split, of 1024 entries, with mergeable ' +
    'buffers, in order, one queue pair, unless the row says otherwise.',
  'open-loop':
    'One port sends at a fixed rate and the other counts: the highest rate without a single ' +
    'loss, found by halves; a rate is held if one of four trials is without loss. Sizes are ' +
    'those of the wire, with the checksum; only one direction carries frames. The ring of ' +
    '1024 entries is the only buffer.',
  latency:
    'Port 0 sends a frame, port 1 answers when it sees it, both by polling in one process on ' +
    'the other core; a trip crosses the switch twice. “50 % load”: ports 2 to 3 carry half of ' +
    'what this switch can do with all four ports. “idle”: 10 ms of silence before each ' +
    'question, so that a switch that sleeps must be woken. “busy ports”: further ports keep ' +
    '128 frames under way to each other, as fast as this switch can; how many that were stands ' +
    'in the samples (loadMpps).',
  scale:
    'Pairs of VFs in a closed loop with 128 frames of 60 bytes under way in each direction; ' +
    'ring size 256. Memory is the anonymous memory of the process, without what it maps of ' +
    'its guests, per VF, with all guests connected.',
  windows:
    'Heddle maps guest memory in windows of 4 MiB, of which 891 fit at a time. The buffers of ' +
    'both guests lie in this many windows and are used round and round: the worst order there ' +
    'is. The others map all memory; their rows show what the processor’s own address ' +
    'translation costs.',
  idle: 'Guests are connected, have sent a frame, and then are silent. Others poll by design.',
  allocation:
    'Collections of V8’s garbage collector while frames flow, from --trace-gc. A processor ' +
    '(worker thread) that allocates per turn would collect many times a second.',
  offload:
    'Frames of 64 KiB of TCP, left uncut, from guest to guest and back, 32 under way in each ' +
    'direction. The plain copy goes round over as many buffers of that size in the memory of ' +
    'the driver’s process, with no switch at all, in turns with the switch. Rings: the closed ' +
    'loop of “Forward”, packed and split in turns.',
  uplinks:
    'Packet: a guest sends frames of 64 KiB of TCP, left uncut, through a packet uplink over a ' +
    'veth to another network namespace, whose counters tell the rate; “bridge-tap” writes the ' +
    'same frames to a TAP that a bridge connects with another veth. 64 B to the world: AF_XDP ' +
    '(“heddle”) and a packet socket, each over a veth in copy mode; the far end works on the ' +
    'driver’s core, as a network does not take the sender’s, or where a veth leaves it. From the ' +
    'world: frames that were sent while Heddle stood still, until the guest has them. TAP: one ' +
    'TCP stream between a Linux guest under QEMU and the host, through Heddle’s TAP and through ' +
    'QEMU’s own. Idle: 8 silent VFs with four silent uplinks, beside a NIC without.',
  vm:
    'Two Linux guests under QEMU without KVM, one virtual CPU each, share both cores with the ' +
    'switch. TCP by iperf3, one stream; “both ways” is the sum of one way and then the other; ' +
    'with offloads, guests leave checksums and segments to the NIC. UDP request/response is ' +
    'one datagram there and back; RTT is ping’s. No MSI-X for any of them, because QEMU 7.2 ' +
    'without KVM cannot have it with vhost-user.',
  checks: 'The same loop with and without the windows through which guest memory is seen.',
};
