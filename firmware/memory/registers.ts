// The registers that the host and the firmware of one processor share.

import { REGISTERS_BASE } from '../../layout/memory';
import {
  REGISTER_BATCH_STAMP,
  REGISTER_CURRENT_RING,
  REGISTER_EXHAUSTED,
  REGISTER_FAULT_COUNT,
  REGISTER_INTERRUPT_DUE_COUNT,
  REGISTER_INVALID_ADDRESS,
  REGISTER_INVALID_FUNCTION,
  REGISTER_LOOP_OTHER,
  REGISTER_LOOP_PORT,
  REGISTER_MISS_ADDRESS,
  REGISTER_MISS_FUNCTION,
  REGISTER_MISS_RING,
  REGISTER_NOW_MICROSECONDS,
  REGISTER_NOW_SECONDS,
  REGISTER_PORT_COUNT,
  REGISTER_REQUEST_COUNT,
  REGISTER_SENT_BYTES,
  REGISTER_SIGNAL_COUNT,
  REGISTER_UNTRANSLATED_COUNT,
  REGISTER_WORK_COUNT,
} from '../../layout/processor';

@unmanaged
export class Registers {
  missFunction: u32;
  missRing: u32;
  missAddress: u64;
  invalidFunction: u32;
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

if (offsetof<Registers>('missFunction') != REGISTER_MISS_FUNCTION) ERROR('Registers.missFunction');
if (offsetof<Registers>('missRing') != REGISTER_MISS_RING) ERROR('Registers.missRing');
if (offsetof<Registers>('missAddress') != REGISTER_MISS_ADDRESS) ERROR('Registers.missAddress');
if (offsetof<Registers>('invalidFunction') != REGISTER_INVALID_FUNCTION)
  ERROR('Registers.invalidFunction');
if (offsetof<Registers>('exhausted') != REGISTER_EXHAUSTED) ERROR('Registers.exhausted');
if (offsetof<Registers>('invalidAddress') != REGISTER_INVALID_ADDRESS)
  ERROR('Registers.invalidAddress');
if (offsetof<Registers>('signalCount') != REGISTER_SIGNAL_COUNT) ERROR('Registers.signalCount');
if (offsetof<Registers>('faultCount') != REGISTER_FAULT_COUNT) ERROR('Registers.faultCount');
if (offsetof<Registers>('nowSeconds') != REGISTER_NOW_SECONDS) ERROR('Registers.nowSeconds');
if (offsetof<Registers>('batchStamp') != REGISTER_BATCH_STAMP) ERROR('Registers.batchStamp');
if (offsetof<Registers>('workCount') != REGISTER_WORK_COUNT) ERROR('Registers.workCount');
if (offsetof<Registers>('portCount') != REGISTER_PORT_COUNT) ERROR('Registers.portCount');
if (offsetof<Registers>('interruptDueCount') != REGISTER_INTERRUPT_DUE_COUNT)
  ERROR('Registers.interruptDueCount');
if (offsetof<Registers>('currentRing') != REGISTER_CURRENT_RING) ERROR('Registers.currentRing');
if (offsetof<Registers>('untranslatedCount') != REGISTER_UNTRANSLATED_COUNT)
  ERROR('Registers.untranslatedCount');
if (offsetof<Registers>('nowMicroseconds') != REGISTER_NOW_MICROSECONDS)
  ERROR('Registers.nowMicroseconds');
if (offsetof<Registers>('sentBytes') != REGISTER_SENT_BYTES) ERROR('Registers.sentBytes');
if (offsetof<Registers>('loopPort') != REGISTER_LOOP_PORT) ERROR('Registers.loopPort');
if (offsetof<Registers>('loopOther') != REGISTER_LOOP_OTHER) ERROR('Registers.loopOther');
if (offsetof<Registers>('requestCount') != REGISTER_REQUEST_COUNT) ERROR('Registers.requestCount');

export function registers(): Registers {
  return changetype<Registers>(REGISTERS_BASE);
}
