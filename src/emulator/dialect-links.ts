// Every "either way" of the service's documents that concerns shared links. Source: the guide's Links chapters, whose tables and samples
// disagree with each other; sections 4.15 and 10 of the API reference. Must not know: stores, sockets.

export interface LinkDialect {
  /** How replies spell the policy; `mixed`: entry by entry, as the guide's samples do. */
  readonly linkPolicyKey: 'ShareLinkPolicy' | 'SharedLinkPolicy' | 'SharedLinkPlicy' | 'mixed';
  readonly linkOutlookKey: 'OutlookShareLinkPolicy' | 'OutlookSharePolicy';
  readonly linkTypeKey: 'ShareType' | 'SharedType';
  /** Requests in the working spelling only, or in the guide's and in any case too. */
  readonly linkRequestKeys: 'working' | 'any';
  /** `absent`: as in the guide's samples. */
  readonly linkPaths: 'backslash' | 'slash' | 'absent';
  readonly linkUsage: 'object' | 'number' | 'absent';
  /** `text`: what the guide's samples have in its place. */
  readonly linkFile: 'object' | 'text' | 'absent';
  readonly linkTimes: 'wcf' | 'wcf-offset' | 'iso-7';
  /** What one link of many that cannot be made does: it is left out of the reply, or the whole call is refused. */
  readonly linkNotMade: 'left-out' | 'refused';
  /** Which query asks for the links of one file; `ignored`: none does. */
  readonly linkFilter: 'file_id' | 'fileId-with-syncpointId' | 'ignored';
  /** The guide's sample repeats the password that was sent. */
  readonly linkPutReply: 'with-password' | 'without-password' | 'empty';
}

/** What was observed of the real service, else what its guide says. */
export const observedLinks: LinkDialect = {
  linkPolicyKey: 'ShareLinkPolicy',
  linkOutlookKey: 'OutlookShareLinkPolicy',
  linkTypeKey: 'ShareType',
  linkRequestKeys: 'working',
  linkPaths: 'backslash',
  linkUsage: 'object',
  linkFile: 'object',
  linkTimes: 'wcf',
  linkNotMade: 'left-out',
  linkFilter: 'fileId-with-syncpointId',
  linkPutReply: 'with-password',
};

/** `guide`: what the guide's letter adds to the dialect of that name; `named`: dialects of their own. */
export const linkVariants = {
  guide: {
    linkPolicyKey: 'mixed',
    linkOutlookKey: 'OutlookSharePolicy',
    linkTypeKey: 'SharedType',
    linkRequestKeys: 'any',
    linkPaths: 'absent',
    linkFile: 'text',
    linkTimes: 'iso-7',
    linkFilter: 'file_id',
  },
  named: {
    'links-misspelt': {
      linkPolicyKey: 'SharedLinkPlicy',
      linkPaths: 'slash',
      linkUsage: 'number',
      linkTimes: 'wcf-offset',
      linkNotMade: 'refused',
      linkFilter: 'ignored',
      linkPutReply: 'without-password',
    },
    'links-terse': {
      linkPolicyKey: 'SharedLinkPolicy',
      linkPaths: 'absent',
      linkUsage: 'absent',
      linkFile: 'absent',
      linkPutReply: 'empty',
      omitDefaults: true,
    },
  },
} as const satisfies {
  readonly guide: Partial<LinkDialect>;
  readonly named: Record<string, Partial<LinkDialect & { readonly omitDefaults: boolean }>>;
};
