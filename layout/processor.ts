// The registers of a processor (private, at REGISTERS_BASE) and its shared record.

/** The window that is missing: function and guest address. */
export const REGISTER_MISS_FUNCTION: u32 = 0;
export const REGISTER_MISS_RING: u32 = 4;
export const REGISTER_MISS_ADDRESS: u32 = 8;
/** The host's answer to a miss outside all memory regions: function + 1 (0 = none) and address. */
export const REGISTER_INVALID_FUNCTION: u32 = 16;
/** The host's answer if no window can be mapped: 0, or EXHAUSTED_…. */
export const REGISTER_EXHAUSTED: u32 = 20;
/** For the frame that needs it: the batch itself uses every slot. */
export const EXHAUSTED_FOR_FRAME: u32 = 1;
/** For the rest of the batch: its deliveries have cost enough. */
export const EXHAUSTED_FOR_BATCH: u32 = 2;
/** This and a function's number: for what that function receives in the rest of the batch. */
export const EXHAUSTED_FOR_FUNCTION: u32 = 3;
export const REGISTER_INVALID_ADDRESS: u32 = 24;
/** Rings whose guests want an interrupt: count; numbers at SIGNAL_LIST_BASE. The host clears it. */
export const REGISTER_SIGNAL_COUNT: u32 = 32;
/** Rings that were stopped by a fault: count; numbers at FAULT_LIST_BASE. The host clears it. */
export const REGISTER_FAULT_COUNT: u32 = 36;
/** Monotonic seconds, for ageing. The host sets it. */
export const REGISTER_NOW_SECONDS: u32 = 40;
/** Counts batches and deliveries: the age of windows. */
export const REGISTER_BATCH_STAMP: u32 = 44;
/** Rings that turns visit: count; numbers at WORK_LIST_BASE. */
export const REGISTER_WORK_COUNT: u32 = 48;
export const REGISTER_PORT_COUNT: u32 = 52;
export const REGISTER_INTERRUPT_DUE_COUNT: u32 = 56;
/** The ring that the firmware is serving, for the report after a trap. */
export const REGISTER_CURRENT_RING: u32 = 60;
/**
 * Untranslated addresses of guests behind an IOMMU: count; entries at UNTRANSLATED_LIST_BASE. The
 * host clears it.
 */
export const REGISTER_UNTRANSLATED_COUNT: u32 = 64;
/**
 * The lower 32 bits of the monotonic clock. The host sets it before a turn while an interrupt is
 * deferred, which is while REGISTER_INTERRUPT_DUE_COUNT is not 0.
 */
export const REGISTER_NOW_MICROSECONDS: u32 = 68;
/** Bytes that guests sent, modulo 2^32. */
export const REGISTER_SENT_BYTES: u32 = 72;
/** Two uplinks that seem to form a loop: port + 1 of each (0 = none). The host clears them. */
export const REGISTER_LOOP_PORT: u32 = 76;
export const REGISTER_LOOP_OTHER: u32 = 80;
/** Rings with a request for the host: count; numbers at REQUEST_LIST_BASE. The host clears it. */
export const REGISTER_REQUEST_COUNT: u32 = 84;

// Whose interrupts are listed at the end of a turn. The others are kept for a later turn.
export const INTERRUPT_NOBODY: u32 = 0;
/** Those of receivers. Senders can wait: they only get their buffers back. */
export const INTERRUPT_RECEIVERS: u32 = 1;
export const INTERRUPT_ALL: u32 = 2;

// What a turn returns: flags.
export const TURN_IDLE: u32 = 0;
/** Frames were moved, or other work was done. */
export const TURN_WORKED: u32 = 1;
/** A window is missing: map it and call again. The batch waits. */
export const TURN_MISSED: u32 = 2;
/** Interrupts, faults, requests or untranslated addresses are listed for the host. */
export const TURN_SIGNALS: u32 = 4;
/** Frames are lent to drivers of uplinks: let them send, then call again. The batch waits. */
export const TURN_LENT: u32 = 8;
/** Another processor holds the lock of a ring: give it time, then call again. The batch waits. */
export const TURN_LOCKED: u32 = 16;
/** Somebody only pauses: there may be more to do soon, whether anything was done or not. */
export const TURN_UNFINISHED: u32 = 32;
/** The processor is not idle. */
export const TURN_BUSY: u32 = TURN_WORKED | TURN_UNFINISHED;

// What `takeRequest` returns, besides 0 for a request that was taken. Other negative results are
// REQUEST_BROKEN − drop reason: a chain that cannot be a request, to be returned empty.
export const REQUEST_NONE: i32 = -1;
/** A window is missing: map it and call again. */
export const REQUEST_MISSED: i32 = -2;
/** An address has no translation yet. */
export const REQUEST_UNTRANSLATED: i32 = -3;
/** The ring was stopped by a fault. */
export const REQUEST_FAULTED: i32 = -4;
export const REQUEST_BROKEN: i32 = -16;

// The shared record, one per processor: read by the control plane at any time.
export const PROCESSOR_RECORD_SIZE: u32 = 256;
/** Incremented by the control plane after it posted a message. */
export const PROCESSOR_DOORBELL: u32 = 0;
export const PROCESSOR_TURNS: u32 = 8;
export const PROCESSOR_SLEEPS: u32 = 16;
export const PROCESSOR_MISSES: u32 = 24;
export const PROCESSOR_EVICTIONS: u32 = 32;
export const PROCESSOR_SLOTS_USED: u32 = 40;
export const PROCESSOR_SLOTS: u32 = 44;
