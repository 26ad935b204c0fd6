// Control-plane objects save plain data, as accepted by structuredClone. A descriptor is a number
// in a field named `fd` or ending in `Fd`; `fds` and `…Fds` hold several. So code that passes a
// state on can find all its descriptors and replace them.

/** The descriptors in a state, each once, no matter how many fields name it. */
export function descriptorsIn(state: unknown): number[] {
  const found = new Set<number>();
  replaceDescriptors(state, (fd) => {
    found.add(fd);
    return fd;
  });
  return [...found].sort((a, b) => a - b);
}

/**
 * A copy with descriptors replaced, because the same files have other numbers in another process.
 */
export function replaceDescriptors<State>(state: State, replace: (fd: number) => number): State {
  return copy(state, false, replace) as State;
}

function copy(value: unknown, isDescriptor: boolean, replace: (fd: number) => number): unknown {
  if (typeof value === 'number') return isDescriptor && value >= 0 ? replace(value) : value;
  if (Array.isArray(value)) return value.map((item) => copy(item, isDescriptor, replace));
  if (value instanceof Uint8Array) return value.slice();
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, field]) => {
    const isNamed = /^fds?$|Fds?$/.test(name);
    return [name, copy(field, isNamed, replace)] as const;
  });
  return Object.fromEntries(entries);
}
