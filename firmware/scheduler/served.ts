// Flags that each kind of ring returns from a visit.
export const SERVED_NOTHING: u32 = 0;
/** Work was done and charged (`spend`). */
export const SERVED_WORK: u32 = 1;
/** A window is missing (`spendMiss`): the turn ends, the next visit has the window. */
export const SERVED_MISSED: u32 = 2;
/** The ring waits for an event: no turn visits it until `unparkRings`. */
export const SERVED_PARKS: u32 = 4;
/** Its batch waits: the turn ends, and the next one resumes that batch. */
export const SERVED_WAITS: u32 = 8;
/** Its next frame waits for its receiver: nothing can be taken for a while. */
export const SERVED_HELD: u32 = 32;
/** With SERVED_WORK: the ring has nothing left. */
export const SERVED_EMPTIED: u32 = 16;
