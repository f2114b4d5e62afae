// The gateway's call about a user: user.svc GET. Source: section 9.6 of the API reference. Must not know: content.
import type { Call, Route } from './call.ts';
import type { GatewayLookup } from './gateway-lookup.ts';
import { type Company, findPerson } from './acting.ts';
import { Refusal } from './reply.ts';
import type { Reply, ReplyWriter } from './reply.ts';
import type { Account, Shapes } from './shapes.ts';

export interface PeopleOptions {
  readonly account: Account;
  readonly company: Company;
  readonly lookup: GatewayLookup;
  readonly replies: ReplyWriter;
  readonly shapes: Shapes;
}

export function peopleRoutes({ account, company, lookup, replies, shapes }: PeopleOptions): readonly Route[] {
  function user(call: Call): Promise<Reply> {
    // The same words for who may not ask and for whom nobody knows.
    if (!company.isAdministrator) throw new Refusal(403, 'Not A Business Admin');
    const person = findPerson([account.user, ...company.people], decodeURIComponent(call.segments[0] ?? ''));
    if (person === undefined) throw new Refusal(403, 'Not A Business Admin');
    const { companyId, companyName } = account;
    return Promise.resolve(
      replies.json({
        ...shapes.person(person),
        Roles: [],
        Company: { Id: companyId, Name: companyName },
        AccountType: 4,
        Status: 1,
      }),
    );
  }
  return [
    { endpoint: 'user', method: 'GET', path: /^\/provisioning\/user\.svc\/([^/]+)\/?$/, handle: lookup.guarded(user) },
  ];
}
