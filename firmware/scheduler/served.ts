// What came of a look at a ring: flags, in which each kind of ring answers the turn.
export const SERVED_NOTHING: u32 = 0;
/** There was work, and it is done and charged (`spend`). */
export const SERVED_WORK: u32 = 1;
/** A window is missing, and charged (`spendMiss`): the turn ends, the ring's next look finds it. */
export const SERVED_MISSED: u32 = 2;
/** The ring waits for something: it is looked at no more until there is news (`unparkRings`). */
export const SERVED_PARKS: u32 = 4;
/** Its batch waits: the turn ends, and the next one is for that batch. */
export const SERVED_WAITS: u32 = 8;
