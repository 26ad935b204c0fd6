import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

// All writes to guest memory go through firmware/memory/write.ts and `copyToGuest`. All other files
// may store only in the NIC's own records. The first name in an address shows that it is in one: a
// `…_BASE` of layout/, a name that the file binds only to such addresses, or a name below.

const root = new URL('../../firmware', import.meta.url).pathname;
const WRITERS = ['memory/write.ts', 'memory/copy.ts'];

/** Functions that return the address of a record, in any file. */
const OWN_FUNCTIONS = ['portRecordAt', 'headerScratch'];

/** Names that a file does not bind itself: parameters, fields and values derived from them. */
const OWN_NAMES: Readonly<Record<string, readonly [name: string, what: string][]>> = {
  'memory/open-table.ts': [
    ['base', 'of a table'],
    ['to', 'an entry of it'],
  ],
  'memory/pieces.ts': [['to', 'of `gather`: where its callers, below, keep the copy']],
  'offload/candidate.ts': [
    ['header', 'the copy of the headers in scratch'],
    ['headers', 'the same, of this frame or of the first of a run'],
    ['ip', 'of `isIpv4Intact`: within those'],
  ],
  'offload/join.ts': [['run', 'its headers are in scratch, since `begin`']],
  'offload/segment.ts': [['nextHeaderField', 'a field of the headers in scratch']],
  'offload/run.ts': [['this', 'a record of runs']],
  'offload/tunnel.ts': [
    ['ip', 'of `finishUdp`: within the headers in scratch'],
    ['at', 'the same'],
  ],
  'scheduler/heap.ts': [
    ['node', 'the record of a node'],
    ['before', 'the same'],
    ['parent', 'the same'],
    ['child', 'the same'],
  ],
  'scheduler/node.ts': [['node', 'the record of a node']],
  'scheduler/schedule.ts': [['PATH', 'the path, in SCHEDULE_BASE']],
  'scheduler/pay.ts': [['at', 'a field of an account']],
  'switch/fdb-set.ts': [
    ['home', 'a set of the MAC table'],
    ['set', 'the same'],
  ],
  'switch/loops.ts': [['set', 'a set of the MAC table']],
  'net/take-chain.ts': [['pieces', 'within SOURCE_PIECES_BASE']],
  'virtqueue/chain.ts': [
    ['pieceBase', 'the list of pieces that `walkChain` fills'],
    ['answer', 'the addresses that `walkRequest` records'],
  ],
  'virtqueue/lock.ts': [['ring', 'the shared record of a ring']],
};

const STORE = /\b(?:v128\.)?store(?:<\w+>)?\(|\bv128\.store\w+\(/;
const ATOMIC = /\batomic\.(?!load|fence)\w+(?:<\w+>)?\(/;
/** `copy` and `gather` write to their first argument; a class is a store to each of its fields. */
const OTHERS = /(?<!function )\b(?:copy|gather)\(|\bchangetype<[A-Z]\w+>\(/;
const WRITES = new RegExp([STORE, ATOMIC, OTHERS].map(({ source }) => source).join('|'), 'g');

/** The first argument of a call whose parenthesis is at `open`. */
function argumentAt(text: string, open: number): string {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '(') depth += 1;
    if (character === ')') depth -= 1;
    if (depth === 0 || (depth === 1 && character === ',')) return text.slice(open + 1, at).trim();
  }
  return '';
}

/** Whether an address is in the NIC's own records, judged by its first name. */
function isOwn(address: string, own: ReadonlySet<string>): boolean {
  if (/^0\)?$/.test(address)) return true;
  const first = /^(?:changetype<\w+>\()?(\w+)/.exec(address)?.[1] ?? '';
  return /_BASE$/.test(first) || own.has(first);
}

type Binding = readonly [name: string, address: string];

function bindingsIn(text: string, pattern: RegExp): Binding[] {
  return [...text.matchAll(pattern)].map(([, name, address]) => [name ?? '', address ?? '']);
}

const ASSIGNED = /^\s*(?:export )?(?:const |let )?(\w+)(?:: \w+)? = (.+);/gm;
const RETURNED = /^(?:export )?function (\w+)\([^)]*\): u32 \{\n {2}return (.+);/gm;

/** Adds the names that are bound only to own addresses to `own`. */
function addBound(own: Set<string>, bindings: readonly Binding[]): void {
  for (let size = -1; size !== own.size; ) {
    size = own.size;
    for (const [name] of bindings) {
      const addresses = bindings.filter(([bound]) => bound === name);
      if (addresses.every(([, address]) => isOwn(address, own))) own.add(name);
    }
  }
}

/** A file's names for own addresses: module variables and functions. */
function ownNames(path: string, text: string): Set<string> {
  const own = new Set([...OWN_FUNCTIONS, ...(OWN_NAMES[path] ?? []).map(([name]) => name)]);
  const variables = new Set([...text.matchAll(/^(?:export )?let (\w+)/gm)].map(([, name]) => name));
  const assigned = bindingsIn(text, ASSIGNED).filter(([name]) => variables.has(name));
  addBound(own, [...assigned, ...bindingsIn(text, RETURNED)]);
  return own;
}

/** `path:line` of each store whose address may be in guest memory. */
function foreignStores(path: string, text: string): string[] {
  const ofFile = ownNames(path, text);
  let line = 1;
  return text.split(/^(?=(?:export )?function )/m).flatMap((part) => {
    const own = new Set(ofFile);
    addBound(own, bindingsIn(part, ASSIGNED));
    const stores = [...part.matchAll(WRITES)].filter(
      (match) => !isOwn(argumentAt(part, match.index + match[0].length - 1), own),
    );
    const start = line;
    line += part.split('\n').length - 1;
    return stores.map(
      ({ index }) => `${path}:${start + part.slice(0, index).split('\n').length - 1}`,
    );
  });
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path): [string, string] => [path, readFileSync(join(root, path), 'utf8')]);

describe('a write to guest memory', () => {
  it('happens in one place', () => {
    const others = files.filter(([path]) => !WRITERS.includes(path));
    expect(others.flatMap(([path, text]) => foreignStores(path, text))).toEqual([]);
    const stores = others.flatMap(([, text]) => [...text.matchAll(WRITES)]);
    expect(stores.length, 'the search finds stores').toBeGreaterThan(100);
  });

  it('is detected elsewhere', () => {
    const guests = [
      'store<u8>(linear, 1);',
      'store<u64>(view.used + place * 8, u64(head));',
      'atomic.store<u16>(view.used + USED_INDEX, index);',
      'const slot = slotAt(view, 0);\n  store<u16>(slot, 0);',
      'let at = EMIT_SCRATCH_BASE;\n  at = frame.address;\n  v128.store(at, zero);',
      'copy(posted.address, EMIT_SCRATCH_BASE, 12);',
      'gather(linear, SOURCE_PIECES_BASE, 4);',
      'const frame = changetype<Frame>(address);',
    ];
    for (const text of guests) expect(foreignStores('net/new.ts', text), text).not.toEqual([]);
    const ours = ['const at = FRAMES_BASE + 4;\n  store<u8>(at, 1);', 'load<u8>(linear);'];
    for (const text of ours) expect(foreignStores('net/new.ts', text), text).toEqual([]);
  });

  it('has no obsolete exceptions', () => {
    const dead = Object.entries(OWN_NAMES).flatMap(([path, names]) => {
      const text = files.find(([name]) => name === path)?.[1] ?? '';
      return names.filter(([name]) => !new RegExp(`\\b${name}\\b`).test(text));
    });
    expect(dead).toEqual([]);
  });
});
