// The VF record in the shared state. Written by the control plane alone, read by every processor.
//
//   0     8            12              16          32
//   ┌─────┬────────────┬───────────────┬───────────┬─────────────────┬─────┐
//   │ MAC │ receive    │ learned       │ (free)    │ receive queues  │  …  │
//   │ u64 │ count u32  │ count u32     │           │ u8 × 16         │     │
//   └─────┴────────────┴───────────────┴───────────┴─────────────────┴─────┘
export const VF_RECORD_SIZE: u32 = 64;
export const VF_MAC: u32 = 0;
/** Enabled receive queues; 0 means that nothing can be delivered to this VF. */
export const VF_RECEIVE_COUNT: u32 = 8;
/** MAC table entries that this VF taught; the firmware counts it. */
export const VF_LEARNED_COUNT: u32 = 12;
/** The enabled receive queues' numbers; the flow hash picks among the first VF_RECEIVE_COUNT. */
export const VF_RECEIVE_QUEUES: u32 = 32;
