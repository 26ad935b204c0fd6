export interface ProcessorStats {
  index: number;
  /** The CPU that it has for itself, or null. */
  cpu: number | null;
  turns: number;
  sleeps: number;
  restarts: number;
  vfs: number;
  windows: { slots: number; used: number; misses: number; evictions: number };
}
