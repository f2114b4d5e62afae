// What doctor's checks are and what they find.

/** What one look found. */
export interface Finding {
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; only where something is to be done. */
  readonly advice?: string;
}

/** One thing to look at. A rejection is a finding too: `fail`. */
export interface Check {
  readonly name: string;
  look(): Promise<Finding>;
}
