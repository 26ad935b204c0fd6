// A cpio archive in the "newc" format, which the Linux kernel unpacks as its first file system.
// Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's sources.
//   ┌────────┬──────────────────┬────────────┬─────┬──────────┬─────┐
//   │ 070701 │ 13 × 8 hex digits │ name + NUL │ pad │ contents │ pad │   … then "TRAILER!!!"
//   └────────┴──────────────────┴────────────┴─────┴──────────┴─────┘
//                                              └──── to 4 bytes ────┘

export interface ArchiveEntry {
  readonly path: string;
  readonly mode: number;
  readonly contents: Uint8Array;
}

const fileType = 0o100000;
const directoryType = 0o040000;
const linkType = 0o120000;
const nothing = new Uint8Array(0);

export function file(path: string, contents: Uint8Array | string, mode = 0o755): ArchiveEntry {
  const bytes = typeof contents === 'string' ? Buffer.from(contents) : contents;
  return { path, mode: fileType | mode, contents: bytes };
}

export function directory(path: string): ArchiveEntry {
  return { path, mode: directoryType | 0o755, contents: nothing };
}

export function symbolicLink(path: string, target: string): ArchiveEntry {
  return { path, mode: linkType | 0o777, contents: Buffer.from(target) };
}

/** The archive's bytes. Parent directories are added: the kernel does not create them. */
export function archive(entries: readonly ArchiveEntry[]): Buffer {
  const all = [...parentDirectories(entries), ...entries];
  const records = all.map((entry, index) => record(entry, index + 1));
  return Buffer.concat([...records, record({ path: 'TRAILER!!!', mode: 0, contents: nothing }, 0)]);
}

function parentDirectories(entries: readonly ArchiveEntry[]): ArchiveEntry[] {
  const paths = new Set<string>();
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) paths.add(parts.slice(0, depth).join('/'));
  }
  for (const { path } of entries) paths.delete(path);
  return [...paths].sort().map(directory);
}

function record(entry: ArchiveEntry, inode: number): Buffer {
  const name = `${entry.path}\0`;
  const owner = [0, 0];
  const linkCount = 1;
  const modifiedAt = 0; // Fixed, so that the same inputs give the same image.
  const devices = [0, 0, 0, 0];
  const checksum = 0; // Unused in newc.
  const numbers = [
    inode,
    entry.mode,
    ...owner,
    linkCount,
    modifiedAt,
    entry.contents.length,
    ...devices,
    Buffer.byteLength(name),
    checksum,
  ];
  const header = `070701${numbers.map((n) => n.toString(16).padStart(8, '0')).join('')}${name}`;
  return Buffer.concat([padded(Buffer.from(header)), padded(entry.contents)]);
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
