import { c } from './libc.ts';

/** Bytes of the smallest page that can be mapped: 4 KiB, or 16 or 64 KiB on some arm64 kernels. */
export const PAGE_SIZE = c.getPageSize();
