// Every "either way" of the service's documents that concerns machines, the vault's own authentication and tokens for one vault.
// Source: sections 2.3 to 2.5 of the API reference. Must not know: stores, sockets.

export interface StorageDialect {
  /** Where machines are registered: at the gateway, at the legacy host, which the guide knows alone, or at both. */
  readonly machinesCall: 'both' | 'gateway' | 'legacy';
  /** What a machine's token is told by: its registration alone, or each call about it. */
  readonly machineTokens: 'always' | 'once';
  /** How the vault's sign-in ends: `SCHEMEtoken/TOKEN`, `SCHEME?token=TOKEN`. */
  readonly storageCallback: 'path' | 'query';
  /** Whose bearer token a vault with its own authentication takes: that of a machine, as the guide has it, or any. */
  readonly storageBearer: 'machine' | 'any';
  /** Tokens for one vault (SST): nobody is seen to send one with an upload. */
  readonly vaultTokens: 'both' | 'downloads' | 'refused-by-vault' | 'refused-by-gateway';
}

/** What was observed of the real service, else what its guide says. */
export const observedStorage: StorageDialect = {
  machinesCall: 'both',
  machineTokens: 'always',
  storageCallback: 'path',
  storageBearer: 'machine',
  vaultTokens: 'downloads',
};

export const storageVariants = {
  guide: { machinesCall: 'legacy', vaultTokens: 'refused-by-gateway' },
  named: {
    'vault-tokens-refused': { vaultTokens: 'refused-by-vault', machinesCall: 'gateway', machineTokens: 'once' },
    'vault-tokens-everywhere': { vaultTokens: 'both', storageCallback: 'query', storageBearer: 'any' },
  },
} as const satisfies { guide: Partial<StorageDialect>; named: Record<string, Partial<StorageDialect>> };
