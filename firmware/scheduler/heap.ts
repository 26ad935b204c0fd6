// Heaps of nodes: pairing heaps (Fredman, Sedgewick, Sleator, Tarjan 1986), whose links lie in the
// nodes themselves. A node can be in several heaps at a time, each with its own links: `links` is
// where they are in its record. References are node + 1, so that 0 means none.
import { NODE_SIZE, NODES_BASE } from '../../layout/memory';

/** Bytes of the links of one heap. */
export const LINKS_SIZE: u32 = 24;

// f64 key, then u32: first child, next sibling, and what refers to this node: its previous sibling,
// or the parent of a first child.
const KEY: usize = 0;
const CHILD: usize = 8;
const NEXT: usize = 12;
const PREVIOUS: usize = 16;

function at(links: u32, reference: u32): u32 {
  return NODES_BASE + (reference - 1) * NODE_SIZE + links;
}

export function keyOf(links: u32, reference: u32): f64 {
  return load<f64>(at(links, reference), KEY);
}

/** Adds a node that is not in the heap. Returns the new root. */
export function insert(links: u32, root: u32, reference: u32, key: f64): u32 {
  const node = at(links, reference);
  store<f64>(node, key, KEY);
  store<u32>(node, 0, CHILD);
  store<u32>(node, 0, NEXT);
  store<u32>(node, 0, PREVIOUS);
  return root == 0 ? reference : merge(links, root, reference);
}

/** Removes a node that is in the heap. Returns the new root, 0 if it was the last one. */
export function remove(links: u32, root: u32, reference: u32): u32 {
  const node = at(links, reference);
  const rest = mergeSiblings(links, load<u32>(node, CHILD));
  if (reference == root) return rest;
  const next = load<u32>(node, NEXT);
  const previous = load<u32>(node, PREVIOUS);
  const before = at(links, previous);
  if (load<u32>(before, CHILD) == reference) store<u32>(before, next, CHILD);
  else store<u32>(before, next, NEXT);
  if (next != 0) store<u32>(at(links, next), previous, PREVIOUS);
  return rest == 0 ? root : merge(links, root, rest);
}

/** Joins two heaps, neither of which is empty. Returns the root. */
function merge(links: u32, a: u32, b: u32): u32 {
  const isFirst = keyOf(links, a) <= keyOf(links, b);
  const root = isFirst ? a : b;
  const other = isFirst ? b : a;
  const parent = at(links, root);
  const child = at(links, other);
  const first = load<u32>(parent, CHILD);
  store<u32>(child, first, NEXT);
  store<u32>(child, root, PREVIOUS);
  if (first != 0) store<u32>(at(links, first), other, PREVIOUS);
  store<u32>(parent, other, CHILD);
  return root;
}

/** Joins the heaps of a list of siblings: in pairs, then the pairs from last to first. */
function mergeSiblings(links: u32, first: u32): u32 {
  let pairs: u32 = 0;
  let next = first;
  while (next != 0) {
    const one = next;
    const two = cut(links, one);
    next = two == 0 ? 0 : cut(links, two);
    const pair = two == 0 ? one : merge(links, one, two);
    store<u32>(at(links, pair), pairs, NEXT);
    pairs = pair;
  }
  let root: u32 = 0;
  while (pairs != 0) {
    const pair = pairs;
    pairs = cut(links, pair);
    root = root == 0 ? pair : merge(links, root, pair);
  }
  return root;
}

/** Makes a node a root by itself. Returns what followed it. */
function cut(links: u32, reference: u32): u32 {
  const node = at(links, reference);
  const next = load<u32>(node, NEXT);
  store<u32>(node, 0, NEXT);
  store<u32>(node, 0, PREVIOUS);
  return next;
}
