// The machines of the account: devices that may call in its name, each with a token. Must not know: which call asked.
import { randomBytes, randomUUID } from 'node:crypto';
import { same } from './apps.ts';
import { derivedId } from './identity.ts';
import type { Credentials } from './identity.ts';
import { Refusal } from './reply.ts';
import type { RequestObject } from './request-json.ts';

export interface Machine {
  readonly id: string;
  readonly name: string;
  readonly systemName: string;
  readonly systemVersion: string;
  readonly clientVersion: string;
  readonly token: string;
}

/** More than a user has; a client that registers one for each start. */
const MACHINES_MAX = 1_000;
const NAME_MAX = 50;

export class Machines {
  readonly #list: Machine[];

  /** The account has one from the beginning. */
  constructor({ userId, machineToken }: Credentials) {
    this.#list = [
      {
        id: derivedId(userId, 'machine'),
        name: 'emulated machine',
        systemName: 'Windows',
        systemVersion: '9.9.9',
        clientVersion: '9.9.9',
        token: machineToken,
      },
    ];
  }

  get list(): readonly Machine[] {
    return this.#list;
  }

  byToken(token: string): Machine | undefined {
    return this.#list.find((machine) => same(token, machine.token));
  }

  byId(id: string): Machine | undefined {
    return this.#list.find((machine) => machine.id === id.toLowerCase());
  }

  /** Registers one, checked as the legacy service checked it. */
  register(fields: RequestObject): Machine {
    const text = (key: string): string => fields.text(key) ?? '';
    const [name, systemName, systemVersion] = [text('Name'), text('SystemName'), text('SystemVersion')];
    if (name === '') throw new Refusal(400, 'Invalid Machine Name');
    if (name.length > NAME_MAX) throw new Refusal(414, 'Machine Name Too Long');
    if (!['', 'Windows', 'Mac OS'].includes(systemName)) throw new Refusal(400, 'Invalid System Name');
    if (systemVersion !== '' && !/^\d+\.\d+\.\d+$/.test(systemVersion))
      throw new Refusal(400, 'Invalid System Version');
    if (this.#list.some((machine) => machine.name.toLowerCase() === name.toLowerCase())) {
      throw new Refusal(409, 'Machine With The Same Name Already Exists');
    }
    if (this.#list.length >= MACHINES_MAX) throw new Refusal(403, 'Max Limit On Creation Reached');
    const token = `emulated-machine-${randomBytes(48).toString('base64url')}`;
    const machine = { id: randomUUID(), name, systemName, systemVersion, clientVersion: text('ClientVersion'), token };
    this.#list.push(machine);
    return machine;
  }
}
