// The rings whose drivers may want an interrupt at the end of the turn, each listed once.
import { INTERRUPT_DUE_LIST_BASE } from '../../layout/memory';
import { registers } from '../memory/registers';
import { RingView } from '../virtqueue/ring';

export function markInterruptDue(ringNumber: u32, view: RingView): void {
  if (view.interruptDue != 0) return;
  view.interruptDue = 1;
  const words = registers();
  store<u32>(INTERRUPT_DUE_LIST_BASE + (words.interruptDueCount << 2), ringNumber);
  words.interruptDueCount += 1;
}
