// The FFI: together with libxdp.ts, the only file that declares C functions. Addresses are plain
// numbers (below 2^47), so that no call allocates a wrapper; callers keep the memory they point to
// alive (see scratch.ts).
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

type Call = (...args: number[]) => number;
type Completion = (error: Error | null, result: number) => void;

function call(prototype: string): Call {
  return libc.func(prototype) as unknown as Call;
}

// Signed, so that MAP_FAILED is −1; unsigned, it would be a bigint that equals nothing.
const mmap = call('intptr_t mmap(uintptr_t a, size_t n, int prot, int flags, int fd, int64_t off)');
const memset = libc.func('uintptr_t memset(void *p, int c, size_t n)') as unknown as (
  target: Uint8Array,
  value: number,
  length: number,
) => number;
const memcpy = call('uintptr_t memcpy(uintptr_t to, uintptr_t from, size_t n)');
const memfdCreate = libc.func('int memfd_create(const char *name, uint32_t flags)') as unknown as (
  name: string,
  flags: number,
) => number;
const open = libc.func('int open(const char *path, int flags)') as unknown as (
  path: string,
  flags: number,
) => number;
/** Before glibc 2.34, threads were in a separate library. */
function callThreads(prototype: string): Call {
  try {
    return call(prototype);
  } catch {
    return koffi.load('libpthread.so.0').func(prototype) as unknown as Call;
  }
}

const epollWait = libc.func('int epoll_wait(int ep, uintptr_t events, int max, int ms)');

export const c = {
  mmap,
  memset,
  memcpy,
  memfdCreate,
  open,
  getAffinity: call('int sched_getaffinity(int tid, size_t n, uintptr_t mask)'),
  setAffinity: call('int sched_setaffinity(int tid, size_t n, uintptr_t mask)'),
  exit: call('void _exit(int status)'),
  clockGettime: call('int clock_gettime(int clock, uintptr_t time)'),
  timerfdCreate: call('int timerfd_create(int clock, int flags)'),
  timerfdSettime: call('int timerfd_settime(int fd, int flags, uintptr_t time, uintptr_t old)'),
  usleep: call('int usleep(uint32_t microseconds)'),
  prctl: call('int prctl(int op, uint64_t a, uint64_t b, uint64_t c, uint64_t d)'),
  getPageSize: call('int getpagesize()'),
  getRandom: call('intptr_t getrandom(uintptr_t bytes, size_t n, uint32_t flags)'),
  munmap: call('int munmap(uintptr_t a, size_t n)'),
  close: call('int close(int fd)'),
  /** The address of that function, for a thread to run. */
  closeAddress: Number(koffi.address(libc.symbol('close'))),
  attributesInit: callThreads('int pthread_attr_init(uintptr_t a)'),
  attributesSetStackSize: callThreads('int pthread_attr_setstacksize(uintptr_t a, size_t n)'),
  threadCreate: callThreads(
    'int pthread_create(uintptr_t thread, uintptr_t a, uintptr_t start, uintptr_t argument)',
  ),
  threadTryJoin: callThreads('int pthread_tryjoin_np(uintptr_t thread, uintptr_t result)'),
  threadJoin: callThreads('int pthread_join(uintptr_t thread, uintptr_t result)'),
  shutdown: call('int shutdown(int fd, int how)'),
  ftruncate: call('int ftruncate(int fd, int64_t n)'),
  fcntl: call('int fcntl(int fd, int cmd, int arg)'),
  fstatfs: call('int fstatfs(int fd, uintptr_t buffer)'),
  eventfd: call('int eventfd(uint32_t value, int flags)'),
  eventfdWrite: call('int eventfd_write(int fd, uint64_t value)'),
  read: call('intptr_t read(int fd, uintptr_t buffer, size_t n)'),
  pread: call('intptr_t pread(int fd, uintptr_t buffer, size_t n, int64_t offset)'),
  write: call('intptr_t write(int fd, uintptr_t buffer, size_t n)'),
  poll: call('int poll(uintptr_t fds, uint64_t n, int ms)'),
  pipe: call('int pipe(uintptr_t pair)'),
  pipe2: call('int pipe2(uintptr_t pair, int flags)'),
  vmsplice: call('intptr_t vmsplice(int fd, uintptr_t parts, size_t n, unsigned int flags)'),
  syscall: call(
    'intptr_t syscall(int64_t n, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e)',
  ),
  epollCreate: call('int epoll_create1(int flags)'),
  epollControl: call('int epoll_ctl(int ep, int op, int fd, uintptr_t event)'),
  epollWait: epollWait as unknown as Call,
  epollWaitAsync: epollWait.async as unknown as (
    ep: number,
    events: number,
    max: number,
    ms: number,
    done: Completion,
  ) => void,
  socket: call('int socket(int domain, int type, int protocol)'),
  socketpair: call('int socketpair(int domain, int type, int protocol, uintptr_t pair)'),
  bind: call('int bind(int fd, uintptr_t address, uint32_t n)'),
  listen: call('int listen(int fd, int backlog)'),
  accept: call('int accept4(int fd, uintptr_t address, uintptr_t n, int flags)'),
  connect: call('int connect(int fd, uintptr_t address, uint32_t n)'),
  sendmsg: call('intptr_t sendmsg(int fd, uintptr_t message, int flags)'),
  sendmmsg: call('int sendmmsg(int fd, uintptr_t messages, unsigned int n, int flags)'),
  recvmmsg: call(
    'int recvmmsg(int fd, uintptr_t messages, unsigned int n, int flags, uintptr_t t)',
  ),
  send: call('intptr_t send(int fd, uintptr_t buffer, size_t n, int flags)'),
  recv: call('intptr_t recv(int fd, uintptr_t buffer, size_t n, int flags)'),
  readv: call('intptr_t readv(int fd, uintptr_t parts, int n)'),
  writev: call('intptr_t writev(int fd, uintptr_t parts, int n)'),
  ioctl: call('int ioctl(int fd, unsigned long request, uintptr_t argument)'),
  setsockopt: call('int setsockopt(int fd, int level, int name, uintptr_t value, uint32_t n)'),
  getsockopt: call('int getsockopt(int fd, int level, int name, uintptr_t value, uintptr_t n)'),
  recvmsg: call('intptr_t recvmsg(int fd, uintptr_t message, int flags)'),
};

/** `errno` of the last failed call on this thread. */
export function errno(): number {
  return koffi.errno();
}
