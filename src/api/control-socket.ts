// The control socket: HTTP on a Unix socket that from its creation only its owner can open.

import { existsSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { inBackground } from '../background.ts';
import { SOCKET_PATH_BYTES_MAX } from '../config/fields.ts';
import { operatorError } from '../errors.ts';
import { makeWay } from '../os/stale-socket.ts';
import { socketError } from '../system-refusal.ts';

export interface ControlSocket {
  readonly path: string;
  /** Ends every request and removes the socket. */
  close(): Promise<void>;
}

export async function openControlSocket(app: Hono, path: string): Promise<ControlSocket> {
  clearControlSocket(path);
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer((request, response) =>
    inBackground('answer a request', listener(request, response)),
  );
  await listen(server, path);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        // The server removes the socket file itself when it stops listening.
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Removes a socket that its process left behind; refuses to touch anything else. */
export function clearControlSocket(path: string): void {
  const size = Buffer.byteLength(path);
  if (size > SOCKET_PATH_BYTES_MAX) {
    throw operatorError('HEDDLE_SOCKET_PATH_TOO_LONG', {
      where: 'the control socket',
      limit: SOCKET_PATH_BYTES_MAX,
      socket: `${size} bytes, ${path}`,
    });
  }
  try {
    makeWay(path, 'HEDDLE_CONTROL_IN_USE');
  } catch (error) {
    throw socketError(error, path) ?? error;
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, path)));
    // listen() binds before it returns, so the umask applies only to the creation of the socket.
    const mask = process.umask(0o177);
    try {
      server.listen(path, () => resolve());
    } finally {
      process.umask(mask);
    }
  });
}

function listenError(error: NodeJS.ErrnoException, path: string): unknown {
  const options = { cause: error };
  // libuv reports a missing directory as EACCES on every system.
  if (!existsSync(dirname(path))) {
    return operatorError('HEDDLE_SOCKET_DIRECTORY_MISSING', { socket: path }, options);
  }
  if (error.code === 'EADDRINUSE') {
    return operatorError('HEDDLE_CONTROL_IN_USE', { socket: path }, options);
  }
  return socketError(error, path) ?? error;
}
