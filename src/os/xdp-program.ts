import { EINVAL, EOPNOTSUPP } from './constants.ts';
import { c } from './libc.ts';
import { loadXdpLibrary, type XdpLibrary } from './libxdp.ts';
import { scratch } from './scratch.ts';
import { SystemError } from './system-error.ts';
import type { XdpSocket } from './xdp-socket.ts';

/** Part of libxdp: frames of queue N go to the socket in entry N of a map. */
const PROGRAM_FILE = 'xsk_def_xdp_prog.o';
const MAP_NAME = 'xsks_map';
const BPF_F_XDP_HAS_FRAGS = 1 << 5;
const BPF_XDP = 37;
const XDP_FLAGS_SKB_MODE = 2;
const XDP_FLAGS_DRV_MODE = 4;
/** struct bpf_link_create_opts: its size, then the flags. */
const LINK_OPTIONS_SIZE = 64;

/**
 * The program that hands an interface's frames to sockets. It is attached by a link that exists
 * only as a descriptor of this process: however the process ends, the kernel detaches the program.
 */
export class XdpProgram {
  /** Whether frames in several buffers pass (Linux 5.18). */
  readonly hasFragments: boolean;
  readonly #xdp: XdpLibrary;
  readonly #handle: number;
  readonly #object: number;
  #linkFd = -1;

  private constructor(xdp: XdpLibrary, handle: number, hasFragments: boolean) {
    this.#xdp = xdp;
    this.#handle = handle;
    this.#object = xdp.objectOf(handle);
    this.hasFragments = hasFragments;
  }

  /** Loads it into the kernel. Throws a SystemError. */
  static load(): XdpProgram {
    const xdp = loadXdpLibrary();
    const error = (failure: number) => new SystemError(`load ${PROGRAM_FILE}`, -failure);
    for (const hasFragments of [true, false]) {
      const handle = xdp.findProgram(PROGRAM_FILE, null, 0);
      if (handle <= 0) throw error(handle);
      const program = new XdpProgram(xdp, handle, hasFragments);
      const result = program.#load();
      if (result === 0) return program;
      program.close();
      if (result !== -EINVAL || !hasFragments) throw error(result);
    }
    throw new Error('assertion: one of two tries returns or throws');
  }

  /** Directs frames of the socket's queue to it. Throws a SystemError. */
  insert(socket: XdpSocket): void {
    const map = this.#xdp.findMap(this.#object, MAP_NAME);
    const result = this.#xdp.insertSocket(socket.handle, map);
    if (result < 0) throw new SystemError('bpf_map_update_elem', -result);
  }

  /**
   * Attaches in the driver if possible, which is faster and comes before the kernel makes packets
   * of the frames, otherwise in the kernel's generic hook; or only where the wish says. Throws a
   * SystemError: EBUSY if another program is attached, EOPNOTSUPP if the wish cannot be met.
   */
  attach(
    interfaceIndex: number,
    wish: 'auto' | 'native' | 'generic' = 'auto',
  ): 'native' | 'generic' {
    if (wish !== 'generic') {
      const inDriver = this.#link(interfaceIndex, XDP_FLAGS_DRV_MODE);
      if (inDriver >= 0) return 'native';
      const cannot = inDriver === -EOPNOTSUPP || inDriver === -EINVAL;
      if (cannot && wish === 'native') throw linkError(-EOPNOTSUPP);
      if (!cannot) throw linkError(inDriver);
    }
    const inKernel = this.#link(interfaceIndex, XDP_FLAGS_SKB_MODE);
    if (inKernel < 0) throw linkError(inKernel);
    return 'generic';
  }

  close(): void {
    if (this.#linkFd >= 0) c.close(this.#linkFd);
    this.#linkFd = -1;
    this.#xdp.closeProgram(this.#handle);
  }

  #load(): number {
    const program = this.#xdp.nextProgram(this.#object, 0);
    this.#xdp.setFlags(program, this.hasFragments ? BPF_F_XDP_HAS_FRAGS : 0);
    return this.#xdp.load(this.#object);
  }

  #link(interfaceIndex: number, flags: number): number {
    scratch.bytes.fill(0, 0, LINK_OPTIONS_SIZE);
    scratch.view.setBigUint64(0, BigInt(LINK_OPTIONS_SIZE), true);
    scratch.view.setUint32(8, flags, true);
    const program = this.#xdp.nextProgram(this.#object, 0);
    const programFd = this.#xdp.programFd(program);
    const result = this.#xdp.createLink(programFd, interfaceIndex, BPF_XDP, scratch.address);
    if (result >= 0) this.#linkFd = result;
    return result;
  }
}

function linkError(result: number): SystemError {
  return new SystemError('bpf_link_create', -result);
}
