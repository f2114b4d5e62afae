// Where the credentials of a new connection come from: a file, standard input, or the user at the terminal, field by field. Promises: no
// secret is shown, while it is typed or in an error.
import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { UsageError } from '../base/usage-error.ts';
import {
  AUTH_FILE_LIMIT_BYTES,
  authExamples,
  type AuthNeed,
  type ConnectionAuth,
  parseAuth,
  parseAuthText,
} from '../connections/auth-file.ts';
import { platformName, type PlatformId } from '../connections/platforms.ts';
import type { CliContext } from './context.ts';
import type { Prompt } from './prompt.ts';
import { readStandardInput } from './standard-input.ts';

export interface AuthOptions {
  readonly authInput?: true;
  readonly in?: true;
  readonly authFile?: string;
  readonly file?: string;
  readonly keyring?: true;
}

/** Adds the options that name a source, in SkySync's spellings too. */
export function withAuthOptions(command: Command): Command {
  return command
    .option('--auth-file <FILE>', 'read the authentication JSON from a file')
    .option('--auth-input', 'read the authentication JSON from stdin')
    .option('--keyring', "keep the secrets in the desktop's keyring instead of a file")
    .addOption(new Option('--file <FILE>').hideHelp())
    .addOption(new Option('--in').hideHelp());
}

/** Where the secrets of a new connection are to be kept. */
export function secretsIn({ keyring }: AuthOptions): 'file' | 'keyring' {
  return keyring === true ? 'keyring' : 'file';
}

/** Whether the credentials come from standard input. */
export function isFromInput(options: AuthOptions): boolean {
  return options.authInput === true || options.in === true || (options.authFile ?? options.file) === '-';
}

/** Credentials from where the options say, else from the user, if there is one to ask. Warns of keys that mean nothing. */
export async function readAuth(
  context: CliContext,
  platform: PlatformId,
  options: AuthOptions,
  need: AuthNeed = 'tokens',
): Promise<ConnectionAuth> {
  const text = await authText(options);
  if (text === undefined) {
    if (context.prompt !== undefined) return askAuth(context.prompt, platform, need);
    throw new UsageError(
      `the ${platformName(platform)} connection needs authentication: --auth-file FILE, or --auth-input for stdin`,
      `the JSON looks like ${authExamples[platform]}`,
    );
  }
  const { auth, warnings } = parseAuthText(platform, text, need);
  for (const warning of warnings) context.warn(`warning: ${warning}`);
  if (auth.platform === 'syncplicity' && auth.refreshToken !== undefined) {
    throw new UsageError(
      '"refresh_token" cannot be added: it is good for one program only, and replaced when it is used',
      'sign in with: syncplicityfs connections login',
    );
  }
  return auth;
}

async function authText(options: AuthOptions): Promise<string | undefined> {
  const path = options.authFile ?? options.file;
  const isInput = options.authInput === true || options.in === true;
  if (path !== undefined && isInput) throw new UsageError('--auth-file and --auth-input exclude each other');
  if (isFromInput(options)) return readStandardInput(AUTH_FILE_LIMIT_BYTES);
  return path === undefined ? undefined : readLimited(path);
}

async function readLimited(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    if ((await file.stat()).size > AUTH_FILE_LIMIT_BYTES) throw new UsageError(`${path} is too large for an auth file`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

interface Question {
  readonly key: string;
  readonly text: string;
  readonly isSecret: boolean;
  /** Enter leaves it out. */
  readonly isOptional: boolean;
}

const question = (key: string, text: string, more: 'secret' | 'optional' | 'optional secret' | '' = ''): Question => ({
  key,
  text,
  isSecret: more.includes('secret'),
  isOptional: more.includes('optional'),
});

/** In the order in which a user has them at hand. What is left out can be had with an auth file. */
function questionsOf(platform: PlatformId, need: AuthNeed): readonly Question[] {
  if (platform === 'fs') return [question('uri', 'Directory (absolute path)')];
  return [
    question('client_id', 'App Key'),
    question('client_secret', 'App Secret', 'secret'),
    ...(need === 'app' ? [] : [question('app_token', 'Application Token', 'secret')]),
    question('storage_token', 'Storage token (for vaults with authentication)', 'optional secret'),
    question('email', 'Your e-mail address (finds your region)', 'optional'),
    question('api_url', 'Gateway (default: that of your region)', 'optional'),
    question('as_user', 'User to act for (e-mail address or GUID)', 'optional'),
  ];
}

/** Asks for each field, again for one that cannot be right. */
export async function askAuth(prompt: Prompt, platform: PlatformId, need: AuthNeed): Promise<ConnectionAuth> {
  const fields: Record<string, string> = {};
  await prompt.conversation(async () => {
    for (const { key, text, isSecret, isOptional } of questionsOf(platform, need)) {
      for (;;) {
        const label = isOptional ? `${text} [none]: ` : `${text}: `;
        const answer = await prompt.ask(label, { hidden: isSecret });
        if (answer === '' && isOptional) break;
        const complaint =
          answer === '' ? 'this is needed' : complaintAbout(platform, { ...fields, [key]: answer }, key);
        if (complaint === undefined) {
          fields[key] = answer;
          break;
        }
        prompt.say(complaint);
      }
    }
  });
  return parseAuth(platform, fields, need).auth;
}

/** What is wrong with a field, the ones that are still to come aside. */
function complaintAbout(
  platform: PlatformId,
  fields: Readonly<Record<string, string>>,
  key: string,
): string | undefined {
  try {
    parseAuth(platform, fields, 'app');
    return undefined;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    // Others are missing because they were not asked for yet.
    return error.message.startsWith(`"${key}"`) ? error.message : undefined;
  }
}
