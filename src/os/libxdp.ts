// libxdp and libbpf, loaded when the first uplink needs them, since not every machine has them.
import koffi from 'koffi';

type Call = (...args: number[]) => number;

/** Addresses are plain numbers, as in libc.ts. Functions return 0 or more, or −errno. */
export interface XdpLibrary {
  findProgram(file: string, section: null, options: number): number;
  objectOf(program: number): number;
  closeProgram: Call;
  nextProgram: Call;
  setFlags: Call;
  load: Call;
  programFd: Call;
  findMap(object: number, name: string): number;
  createLink: Call;
  createUmem: Call;
  deleteUmem: Call;
  umemFd: Call;
  createSocket(
    socket: number,
    interfaceName: string,
    queue: number,
    umem: number,
    receive: number,
    transmit: number,
    options: number,
  ): number;
  deleteSocket: Call;
  socketFd: Call;
  insertSocket: Call;
}

let library: XdpLibrary | undefined;

/** Throws the loader's error if one of the two is not installed. */
export function loadXdpLibrary(): XdpLibrary {
  library ??= load();
  return library;
}

function load(): XdpLibrary {
  const bpf = koffi.load('libbpf.so.1');
  const xdp = koffi.load('libxdp.so.1');
  // Both would also print to stderr what they return.
  (bpf.func('uintptr_t libbpf_set_print(uintptr_t print)') as unknown as Call)(0);
  (xdp.func('uintptr_t libxdp_set_print(uintptr_t print)') as unknown as Call)(0);
  const call = (from: ReturnType<typeof koffi.load>, prototype: string) =>
    from.func(prototype) as unknown as Call;
  return {
    findProgram: xdp.func(
      'intptr_t xdp_program__find_file(const char *file, const char *section, uintptr_t options)',
    ) as unknown as XdpLibrary['findProgram'],
    objectOf: call(xdp, 'uintptr_t xdp_program__bpf_obj(uintptr_t program)'),
    closeProgram: call(xdp, 'void xdp_program__close(uintptr_t program)'),
    nextProgram: call(
      bpf,
      'uintptr_t bpf_object__next_program(uintptr_t object, uintptr_t before)',
    ),
    setFlags: call(bpf, 'int bpf_program__set_flags(uintptr_t program, uint32_t flags)'),
    load: call(bpf, 'int bpf_object__load(uintptr_t object)'),
    programFd: call(bpf, 'int bpf_program__fd(uintptr_t program)'),
    findMap: bpf.func(
      'int bpf_object__find_map_fd_by_name(uintptr_t object, const char *name)',
    ) as unknown as XdpLibrary['findMap'],
    createLink: call(bpf, 'int bpf_link_create(int fd, int target, int type, uintptr_t options)'),
    createUmem: call(
      xdp,
      'int xsk_umem__create(uintptr_t umem, uintptr_t area, uint64_t size, uintptr_t fill, ' +
        'uintptr_t completion, uintptr_t options)',
    ),
    deleteUmem: call(xdp, 'int xsk_umem__delete(uintptr_t umem)'),
    umemFd: call(xdp, 'int xsk_umem__fd(uintptr_t umem)'),
    createSocket: xdp.func(
      'int xsk_socket__create(uintptr_t socket, const char *name, uint32_t queue, ' +
        'uintptr_t umem, uintptr_t receive, uintptr_t transmit, uintptr_t options)',
    ) as unknown as XdpLibrary['createSocket'],
    deleteSocket: call(xdp, 'void xsk_socket__delete(uintptr_t socket)'),
    socketFd: call(xdp, 'int xsk_socket__fd(uintptr_t socket)'),
    insertSocket: call(xdp, 'int xsk_socket__update_xskmap(uintptr_t socket, int map)'),
  };
}
