// The VFs that can receive: whom flooding reaches. Private to the processor, changed between turns.
import { PORT_LIST_BASE } from '../../layout/memory';
import { control } from '../memory/control';

export function portCount(): u32 {
  return control().portCount;
}

export function portAt(index: u32): u32 {
  return load<u32>(PORT_LIST_BASE + (index << 2));
}

export function hasOtherPort(vf: u32): bool {
  const ports = control().portCount;
  return ports > 1 || (ports == 1 && portAt(0) != vf);
}

/** Host: a VF begins or ceases to receive. */
export function setPort(vf: u32, isUp: bool): void {
  const words = control();
  let place: u32 = 0;
  while (place < words.portCount && portAt(place) != vf) place++;
  if (isUp && place == words.portCount) {
    store<u32>(PORT_LIST_BASE + (place << 2), vf);
    words.portCount += 1;
  } else if (!isUp && place < words.portCount) {
    words.portCount -= 1;
    store<u32>(PORT_LIST_BASE + (place << 2), portAt(words.portCount));
  }
}
