// Every "either way" of the service's documents that concerns syncpoints as such: participants, creation, mappings, users of other
// regions. Source: sections 4.2 to 4.6, 4.14, 4.18 and 10 of the API reference. Must not know: stores, sockets.

export interface SharingDialect {
  /** Participants POST: what was sent (the guide), entries as Participants GET has them (the specification), or nothing. */
  readonly participantsReply: 'echo' | 'told' | 'empty';
  /** Syncpoints POST: all that the guide calls required, or type and name; `no-empty-vault`: an empty StorageEndpointId is no GUID. */
  readonly syncpointBody: 'any' | 'whole' | 'no-empty-vault';
  /** Whether its reply has the RootFolderId. */
  readonly createdRoot: 'told' | 'absent';
  /** Syncpoint PUT: mappings as the vendor's sample sends them, or each inside a `Mapping`. What is not understood is ignored. */
  readonly mappingBody: 'flat' | 'wrapped';
  /** Replies: an array of mappings, of `{Mapping}`, or one object `{Mapping: {}}`. */
  readonly mappingsReply: 'array' | 'wrapped' | 'object';
  /** The guide's headings say GET, the vendor's sample sends POST. */
  readonly usersPii: 'post' | 'get';
}

/** What was observed of the real service, else what its guide says. */
export const observedSharing: SharingDialect = {
  participantsReply: 'told',
  syncpointBody: 'any',
  createdRoot: 'told',
  mappingBody: 'flat',
  mappingsReply: 'array',
  usersPii: 'post',
};

/** `guide`: what the guide's letter adds to the dialect of that name; `named`: dialects of their own. */
export const sharingVariants = {
  guide: {
    participantsReply: 'echo',
    syncpointBody: 'whole',
    mappingBody: 'wrapped',
    mappingsReply: 'object',
    usersPii: 'get',
  },
  named: {
    'sharing-silent': {
      participantsReply: 'empty',
      syncpointBody: 'no-empty-vault',
      createdRoot: 'absent',
      mappingsReply: 'wrapped',
    },
  },
} as const satisfies {
  readonly guide: Partial<SharingDialect>;
  readonly named: Record<string, Partial<SharingDialect>>;
};
