// The control words that the host and the firmware of one processor share.

import { CONTROL_BASE } from '../../layout/memory';
import {
  CONTROL_BATCH_STAMP,
  CONTROL_CURRENT_RING,
  CONTROL_EXHAUSTED,
  CONTROL_FAULT_COUNT,
  CONTROL_INTERRUPT_DUE_COUNT,
  CONTROL_INVALID_ADDRESS,
  CONTROL_INVALID_VF,
  CONTROL_LOOP_OTHER,
  CONTROL_LOOP_PORT,
  CONTROL_MISS_ADDRESS,
  CONTROL_MISS_RING,
  CONTROL_MISS_VF,
  CONTROL_NOW_MICROSECONDS,
  CONTROL_NOW_SECONDS,
  CONTROL_PORT_COUNT,
  CONTROL_REQUEST_COUNT,
  CONTROL_SENT_BYTES,
  CONTROL_SIGNAL_COUNT,
  CONTROL_UNTRANSLATED_COUNT,
  CONTROL_WORK_COUNT,
} from '../../layout/processor';

@unmanaged
export class Control {
  missVf: u32;
  missRing: u32;
  missAddress: u64;
  invalidVf: u32;
  exhausted: u32;
  invalidAddress: u64;
  signalCount: u32;
  faultCount: u32;
  nowSeconds: u32;
  batchStamp: u32;
  workCount: u32;
  portCount: u32;
  interruptDueCount: u32;
  currentRing: u32;
  untranslatedCount: u32;
  nowMicroseconds: u32;
  sentBytes: u32;
  loopPort: u32;
  loopOther: u32;
  requestCount: u32;
}

if (offsetof<Control>('missVf') != CONTROL_MISS_VF) ERROR('Control.missVf drifted');
if (offsetof<Control>('missRing') != CONTROL_MISS_RING) ERROR('Control.missRing drifted');
if (offsetof<Control>('missAddress') != CONTROL_MISS_ADDRESS) ERROR('Control.missAddress drifted');
if (offsetof<Control>('invalidVf') != CONTROL_INVALID_VF) ERROR('Control.invalidVf drifted');
if (offsetof<Control>('exhausted') != CONTROL_EXHAUSTED) ERROR('Control.exhausted drifted');
if (offsetof<Control>('invalidAddress') != CONTROL_INVALID_ADDRESS) ERROR('Control.invalidAddress');
if (offsetof<Control>('signalCount') != CONTROL_SIGNAL_COUNT) ERROR('Control.signalCount drifted');
if (offsetof<Control>('faultCount') != CONTROL_FAULT_COUNT) ERROR('Control.faultCount drifted');
if (offsetof<Control>('nowSeconds') != CONTROL_NOW_SECONDS) ERROR('Control.nowSeconds drifted');
if (offsetof<Control>('batchStamp') != CONTROL_BATCH_STAMP) ERROR('Control.batchStamp drifted');
if (offsetof<Control>('workCount') != CONTROL_WORK_COUNT) ERROR('Control.workCount drifted');
if (offsetof<Control>('portCount') != CONTROL_PORT_COUNT) ERROR('Control.portCount drifted');
if (offsetof<Control>('interruptDueCount') != CONTROL_INTERRUPT_DUE_COUNT) ERROR('Control drifted');
if (offsetof<Control>('currentRing') != CONTROL_CURRENT_RING) ERROR('Control.currentRing drifted');
if (offsetof<Control>('untranslatedCount') != CONTROL_UNTRANSLATED_COUNT) ERROR('Control');
if (offsetof<Control>('nowMicroseconds') != CONTROL_NOW_MICROSECONDS) ERROR('Control drifted');
if (offsetof<Control>('sentBytes') != CONTROL_SENT_BYTES) ERROR('Control.sentBytes drifted');
if (offsetof<Control>('loopPort') != CONTROL_LOOP_PORT) ERROR('Control.loopPort drifted');
if (offsetof<Control>('loopOther') != CONTROL_LOOP_OTHER) ERROR('Control.loopOther drifted');
if (offsetof<Control>('requestCount') != CONTROL_REQUEST_COUNT) ERROR('Control drifted');

export function control(): Control {
  return changetype<Control>(CONTROL_BASE);
}
