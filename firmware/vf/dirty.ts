// The rings whose drivers may want an interrupt at the end of the turn, each once.
import { DIRTY_LIST_BASE } from '../../layout/memory';
import { control } from '../memory/control';
import { RingView } from '../virtqueue/ring';

export function markDirty(ringNumber: u32, view: RingView): void {
  if (view.dirty != 0) return;
  view.dirty = 1;
  const words = control();
  store<u32>(DIRTY_LIST_BASE + (words.dirtyCount << 2), ringNumber);
  words.dirtyCount += 1;
}
