import { SystemError } from '../../src/os/system-error.ts';
import { XdpProgram } from '../../src/os/xdp-program.ts';

/** Why AF_XDP cannot be tested here, or undefined. */
export function xdpMissing(): string | undefined {
  try {
    XdpProgram.load().close();
    return undefined;
  } catch (error) {
    if (error instanceof SystemError) return `the kernel refuses XDP programs: ${error.message}`;
    return `libxdp is not installed: ${(error as Error).message}`;
  }
}
