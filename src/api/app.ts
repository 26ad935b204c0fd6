// The HTTP routes of a running NIC. Bodies are checked by the same validator as the file.

import { Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Locate } from '../config/problems.ts';
import type { NicConfig } from '../config/types.ts';
import {
  completeChanges,
  completeGroup,
  completeGroupChanges,
  completeNic,
  completeUplink,
  completeVf,
} from '../config/validate.ts';
import { asOperatorError, type OperatorError, operatorError } from '../errors.ts';
import type { Nic } from '../nic/types.ts';
import { eventStream } from './events.ts';

/** Far above the largest configuration (256 VFs), far below what would hurt. */
const BODY_BYTES_MAX = 1024 * 1024;

export interface NicAbout {
  name: string;
  pid: number;
  uptimeSeconds: number;
  config: NicConfig;
}

export interface ErrorBody {
  code: string;
  message: string;
  hint: string;
  also?: { code: string; message: string; hint: string }[];
}

export interface ApiOptions {
  /** Called with errors that are bugs of ours; the answer does not show them. */
  onInternalError?: (error: unknown) => void;
}

const inRequest: Locate = () => 'the request';

export function createApi(nic: Nic, options: ApiOptions = {}): Hono {
  const app = new Hono();

  app.get('/v1/nic', (c) => {
    const { uptimeSeconds } = nic.stats();
    const about: NicAbout = {
      name: nic.name,
      pid: process.pid,
      uptimeSeconds,
      config: nic.config(),
    };
    return c.json(about);
  });
  app.get('/v1/stats', (c) => c.json(nic.stats()));
  app.get('/v1/fdb', (c) => c.json(nic.fdb()));
  app.get('/v1/events', (c) => eventStream(c, nic));

  app.get('/v1/vfs', (c) => c.json(nic.vfs()));
  app.post('/v1/vfs', async (c) => {
    const vf = completeVf(await readBody(c.req.raw), nic.name, inRequest);
    return c.json(await nic.addVf(vf), 201);
  });
  app.get('/v1/vfs/:name', (c) => c.json(nic.vf(c.req.param('name'))));
  app.delete('/v1/vfs/:name', async (c) => {
    await nic.removeVf(c.req.param('name'));
    return c.body(null, 204);
  });
  app.patch('/v1/vfs/:name', async (c) => {
    const changes = completeChanges(await readBody(c.req.raw), inRequest);
    return c.json(await nic.setVf(c.req.param('name'), changes));
  });
  app.get('/v1/functions', (c) => c.json(nic.functions()));
  addGroupRoutes(app, nic);
  addUplinkRoutes(app, nic);
  app.post('/v1/apply', async (c) => {
    const config = completeNic(await readBody(c.req.raw), inRequest);
    return c.json(await nic.apply(config, { dryRun: c.req.query('dryRun') === 'true' }));
  });

  app.notFound((c) => {
    const error = operatorError('HEDDLE_ROUTE_UNKNOWN', { route: `${c.req.method} ${c.req.path}` });
    return c.json(errorBody(error), 404);
  });
  app.onError((error, c) => {
    const known = asOperatorError(error) ?? internalError(error, options);
    return c.json(errorBody(known), known.status as ContentfulStatusCode);
  });
  return app;
}

function addGroupRoutes(app: Hono, nic: Nic): void {
  app.get('/v1/groups', (c) => c.json(nic.groups()));
  app.post('/v1/groups', async (c) => {
    const group = completeGroup(await readBody(c.req.raw), inRequest);
    return c.json(await nic.addGroup(group), 201);
  });
  app.get('/v1/groups/:name', (c) => c.json(nic.group(c.req.param('name'))));
  app.delete('/v1/groups/:name', async (c) => {
    await nic.removeGroup(c.req.param('name'));
    return c.body(null, 204);
  });
  app.patch('/v1/groups/:name', async (c) => {
    const changes = completeGroupChanges(await readBody(c.req.raw), inRequest);
    return c.json(await nic.setGroup(c.req.param('name'), changes));
  });
}

function addUplinkRoutes(app: Hono, nic: Nic): void {
  app.get('/v1/uplinks', (c) => c.json(nic.uplinks()));
  app.post('/v1/uplinks', async (c) => {
    const uplink = completeUplink(await readBody(c.req.raw), inRequest);
    return c.json(await nic.addUplink(uplink), 201);
  });
  app.get('/v1/uplinks/:name', (c) => c.json(nic.uplink(c.req.param('name'))));
  app.delete('/v1/uplinks/:name', async (c) => {
    await nic.removeUplink(c.req.param('name'));
    return c.body(null, 204);
  });
  app.patch('/v1/uplinks/:name', async (c) => {
    const changes = await readBody(c.req.raw);
    if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
      return refuseBody(JSON.stringify(changes));
    }
    return c.json(await nic.setUplink(c.req.param('name'), changes));
  });
}

function refuseBody(received: string): never {
  const reason = 'its body is not one JSON object of at most 1 MiB';
  throw operatorError('HEDDLE_REQUEST_INVALID', { reason, received });
}

async function readBody(request: Request): Promise<unknown> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  // Counted as it arrives: the length that the sender states proves nothing.
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > BODY_BYTES_MAX) refuseBody('more than 1 MiB');
    text += decoder.decode(chunk, { stream: true });
  }
  try {
    return JSON.parse(text);
  } catch {
    return refuseBody(text === '' ? 'nothing' : JSON.stringify(text.slice(0, 80)));
  }
}

function errorBody(error: OperatorError): ErrorBody {
  const body: ErrorBody = error.toJSON();
  if (error.also.length > 0) body.also = error.also.map((other) => other.toJSON());
  return body;
}

function internalError(error: unknown, options: ApiOptions): OperatorError {
  options.onInternalError?.(error);
  const reason = error instanceof Error ? error.message : String(error);
  return operatorError('HEDDLE_INTERNAL', { reason }, { cause: error });
}
