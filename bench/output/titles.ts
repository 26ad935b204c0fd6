// What a reader must know about each suite to understand its figures.

import type { SuiteName } from '../sample.ts';

export const suiteTitles: Readonly<Record<SuiteName, string>> = {
  forward: 'Forward: a closed loop between two ports',
  'open-loop': 'Open loop: the highest rate without loss',
  latency: 'Latency: one frame there and back',
  scale: 'Scale: up to 64 VFs',
  windows: 'Windows: guests whose buffers are spread over too many windows',
  idle: 'Idle: VFs without traffic',
  allocation: 'Allocation: work for the garbage collector',
  offload: 'Offload: super-frames and packed rings',
  uplinks: 'Uplinks: between a guest and the network',
  sharing: 'Sharing: what VFs are promised, and what they get',
  vm: 'Virtual machines: two Linux guests under QEMU',
  checks: 'Checks: the cost of safety',
};

export const suiteTexts: Readonly<Record<SuiteName, string>> = {
  forward:
    'Two virtio-user ports of testpmd send to each other what they receive; 512 frames ' +
    'circulate. Rates count both directions. Sizes are without the checksum of 4 bytes. IMIX ' +
    '(7 × 64 B, 4 × 576 B, 1 × 1500 B of 12 frames) is sent by the project’s own driver, ' +
    'because testpmd sends one size at a time. Unless the row says otherwise, rings are split ' +
    'and have 1024 entries, mergeable buffers, in-order completion and one queue pair.',
  'open-loop':
    'One port sends at a fixed rate and the other counts: the highest rate without a single ' +
    'loss, found by bisection; a rate is held if one of four trials is without loss. Sizes are ' +
    'those on the wire, with the checksum; only one direction carries frames. The ring of ' +
    '1024 entries is the only buffer.',
  latency:
    'Port 0 sends a frame, and port 1 replies when it sees it; both poll in one process on the ' +
    'other core; a trip crosses the switch twice. “50 % load”: ports 2 to 3 carry half of what ' +
    'this switch can forward on all four ports. “idle”: 10 ms of silence before each request, ' +
    'so that a switch that sleeps must be woken. “busy ports”: further ports keep 128 frames ' +
    'in flight between each other, as fast as this switch can; the samples have their rate ' +
    '(loadMpps).',
  scale:
    'Pairs of VFs in a closed loop with 128 frames of 60 bytes in flight in each direction; ' +
    'ring size 256. Memory is the anonymous memory of the process per VF, which excludes mapped ' +
    'guest memory, with all guests connected.',
  windows:
    'Heddle maps guest memory in windows of 4 MiB, of which 891 fit at a time. The buffers of ' +
    'both guests are spread over this many windows and used cyclically, which is the worst ' +
    'order. The other peers map all memory; their rows show the cost of the CPU’s address ' +
    'translation.',
  idle: 'Guests are connected, have sent a frame, and then stay silent. Other peers always poll.',
  allocation:
    'Runs of V8’s garbage collector while frames flow, from --trace-gc. A processor (worker ' +
    'thread) that allocates in every turn would collect many times a second.',
  offload:
    'TCP super-frames of 64 KiB from guest to guest and back, 32 in flight in each direction. ' +
    'The plain copy cycles through as many buffers of that size in the memory of the driver ' +
    'process, without a switch, in turns with the switch. Rings: the closed loop of ' +
    '“Forward”, packed and split in turns.',
  uplinks:
    'Packet: a guest sends TCP super-frames of 64 KiB through a packet uplink over a veth to ' +
    'another network namespace, whose counters give the rate; “bridge-tap” writes the same ' +
    'frames to a TAP that a bridge connects with another veth. 64 B to the world: AF_XDP ' +
    '(“heddle”) and a packet socket, each over a veth in copy mode; the far end runs on the ' +
    'driver’s core, since a real network does not use the sender’s; in further rows, on the ' +
    'core that a veth uses by default. From the world: frames that were sent while Heddle was ' +
    'stopped, until the guest has them. TAP: one TCP stream between a Linux guest under QEMU ' +
    'and the host, through Heddle’s TAP and through QEMU’s own. Idle: 8 silent VFs with four ' +
    'silent uplinks, and a NIC without uplinks.',
  sharing:
    'The project’s own driver keeps rings full; a round is void if more than 0.1 % of its ' +
    'looks found one empty, or for more than 0.5 % of the time. txMax, rxMax: one VF sends to another, rates from what arrives, over at ' +
    'least 200 frames; Open vSwitch has its egress policer at the receiver instead, and its ' +
    'rate is translated, because it counts frames without their Ethernet headers. Windows: of ' +
    '10 ms, those that differ by less than 5 % or one frame. Weights 1 : 2 : 4 : 8 of four VFs ' +
    'that flood a fifth: by bytes on a wire of 1 Gbit/s (a group with that txMax), by processor ' +
    'time without one. Equal VFs: by processor time, sizes and queue pairs mixed, a third of ' +
    'them floods broadcasts; “64 B, by bytes” is for all peers. txShare: 1 Gbit/s of a VF of ' +
    'weight 1 beside 15 floods of weight 100 (64 B, broadcasts, 16 queue pairs). Limits that ' +
    'leave something: 8 of 16 VFs at 10 Mbit/s, against the other 8 alone, in the same NIC. ' +
    'Ping-pong: a pair beside 15 floods of both sizes, a third of them broadcasts, which reach the pair too. ' +
    'Limits that change: of four VFs that flood a fifth with 1500 B, once a second. ' +
    'Utilisation: of a limit or a wire, the part that is used; of processor time, the part that ' +
    'is charged to somebody; else the total against that without limits.',
  vm:
    'Two Linux guests under QEMU without KVM, one virtual CPU each, share both cores with the ' +
    'switch. TCP by iperf3, one stream; “both ways” is the sum of one direction and then the ' +
    'other; with offloads, guests leave checksums and segmentation to the NIC. UDP ' +
    'request/response is one datagram there and back; RTT is ping’s. None of them uses MSI-X, ' +
    'because QEMU 7.2 without KVM does not support it with vhost-user.',
  checks: 'The same loop, with and without the windows through which firmware sees guest memory.',
};
