// The client of the control socket: each command of the CLI is a method here.

import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type {
  Action,
  GroupChangesInput,
  GroupConfigInput,
  NicConfigInput,
} from '../config/types.ts';
import { OperatorError, operatorError } from '../errors.ts';
import type { VfChangesInput, VfConfigInput } from '../functions/net/config.ts';
import type { VfInfo } from '../functions/net/types.ts';
import type { FunctionInfo } from '../functions/types.ts';
import type { FdbEntry, GroupInfo, NicEventName, NicStats } from '../nic/types.ts';
import type { UplinkChanges, UplinkConfigInput } from '../uplinks/config.ts';
import type { UplinkInfo } from '../uplinks/types.ts';
import type { ErrorBody, NicAbout } from './app.ts';

/** Generous: applying a large configuration closes and opens many sessions. */
const ANSWER_MILLISECONDS_MAX = 30_000;

export interface NicEvent {
  event: NicEventName;
  vf?: string;
  uplink?: string;
  queue?: number;
  reason?: string;
}

export class ControlClient {
  readonly socket: string;

  constructor(socket: string) {
    this.socket = socket;
  }

  nic(): Promise<NicAbout> {
    return this.#call('GET', '/v1/nic');
  }

  stats(): Promise<NicStats> {
    return this.#call('GET', '/v1/stats');
  }

  fdb(): Promise<FdbEntry[]> {
    return this.#call('GET', '/v1/fdb');
  }

  vfs(): Promise<VfInfo[]> {
    return this.#call('GET', '/v1/vfs');
  }

  vf(name: string): Promise<VfInfo> {
    return this.#call('GET', vfPath(name));
  }

  addVf(config: VfConfigInput): Promise<VfInfo> {
    return this.#call('POST', '/v1/vfs', config);
  }

  removeVf(name: string): Promise<void> {
    return this.#call('DELETE', vfPath(name));
  }

  setVf(name: string, changes: VfChangesInput): Promise<VfInfo> {
    return this.#call('PATCH', vfPath(name), changes);
  }

  functions(): Promise<FunctionInfo[]> {
    return this.#call('GET', '/v1/functions');
  }

  groups(): Promise<GroupInfo[]> {
    return this.#call('GET', '/v1/groups');
  }

  group(name: string): Promise<GroupInfo> {
    return this.#call('GET', groupPath(name));
  }

  addGroup(config: GroupConfigInput): Promise<GroupInfo> {
    return this.#call('POST', '/v1/groups', config);
  }

  removeGroup(name: string): Promise<void> {
    return this.#call('DELETE', groupPath(name));
  }

  setGroup(name: string, changes: GroupChangesInput): Promise<GroupInfo> {
    return this.#call('PATCH', groupPath(name), changes);
  }

  uplinks(): Promise<UplinkInfo[]> {
    return this.#call('GET', '/v1/uplinks');
  }

  uplink(name: string): Promise<UplinkInfo> {
    return this.#call('GET', uplinkPath(name));
  }

  addUplink(config: UplinkConfigInput): Promise<UplinkInfo> {
    return this.#call('POST', '/v1/uplinks', config);
  }

  removeUplink(name: string): Promise<void> {
    return this.#call('DELETE', uplinkPath(name));
  }

  setUplink(name: string, changes: UplinkChanges): Promise<UplinkInfo> {
    return this.#call('PATCH', uplinkPath(name), changes);
  }

  apply(config: NicConfigInput, options: { dryRun?: boolean } = {}): Promise<Action[]> {
    return this.#call('POST', `/v1/apply?dryRun=${options.dryRun === true}`, config);
  }

  /** Events from now on; ends when the NIC closes the connection or the signal aborts. */
  async *events(signal?: AbortSignal): AsyncGenerator<NicEvent> {
    const response = await this.#send('GET', '/v1/events', undefined, signal);
    let text = '';
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk;
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const event = parseEvent(text.slice(0, end));
          text = text.slice(end + 2);
          if (event !== undefined) yield event;
        }
      }
    } catch (error) {
      if (!signal?.aborted) throw this.#explain(error as NodeJS.ErrnoException);
    } finally {
      response.destroy();
    }
  }

  async #call<Result>(method: string, path: string, body?: object): Promise<Result> {
    const response = await this.#send(method, path, body);
    let text = '';
    try {
      for await (const chunk of response.setEncoding('utf8')) text += chunk;
    } catch (error) {
      throw this.#explain(error as NodeJS.ErrnoException);
    }
    if (response.statusCode === 204) return undefined as Result;
    const answer: unknown = this.#parse(text);
    if ((response.statusCode ?? 500) < 400) return answer as Result;
    const { also = [], ...error } = answer as ErrorBody;
    const status = response.statusCode ?? 500;
    const others = also.map((other) => new OperatorError({ ...other, status }));
    throw new OperatorError({ ...error, status }, { also: others });
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      const reason = 'its answer is not JSON';
      throw operatorError('HEDDLE_CONTROL_LOST', { reason, socket: this.socket });
    }
  }

  #send(
    method: string,
    path: string,
    body?: object,
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      // A connection of its own: a pooled one may outlive its NIC.
      const options = { socketPath: this.socket, method, path, headers, agent: false };
      const request: ClientRequest = httpRequest(
        signal ? { ...options, signal } : options,
        resolve,
      );
      request.once('error', (error) => reject(this.#explain(error)));
      // Events may be far apart; answers may not.
      if (path !== '/v1/events') {
        request.setTimeout(ANSWER_MILLISECONDS_MAX, () => request.destroy(new Error('no answer')));
      }
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  #explain(error: NodeJS.ErrnoException): OperatorError {
    const { socket } = this;
    const options = { cause: error };
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTSOCK') {
      return operatorError('HEDDLE_CONTROL_ABSENT', { socket }, options);
    }
    if (error.code === 'EACCES' || error.code === 'EPERM') {
      return operatorError('HEDDLE_SOCKET_NOT_WRITABLE', { socket }, options);
    }
    const reason = error.code ?? error.message;
    return operatorError('HEDDLE_CONTROL_LOST', { reason, socket }, options);
  }
}

function vfPath(name: string): string {
  return `/v1/vfs/${encodeURIComponent(name)}`;
}

function groupPath(name: string): string {
  return `/v1/groups/${encodeURIComponent(name)}`;
}

function uplinkPath(name: string): string {
  return `/v1/uplinks/${encodeURIComponent(name)}`;
}

/** One block of lines; comments (heartbeats) have no data. */
function parseEvent(block: string): NicEvent | undefined {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trimStart());
  }
  const data = fields.get('data');
  if (data === undefined) return undefined;
  const detail = JSON.parse(data) as Omit<NicEvent, 'event'>;
  return { event: fields.get('event') as NicEventName, ...detail };
}
