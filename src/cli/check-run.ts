// Runs checks one after the other and shows what each finds: doctor's, and those of a connection alone. Must not know what is checked.
import { type CliContext, mayColour, printJson } from './context.ts';
import type { Check, Finding } from './finding.ts';

const COLOURS = { ok: 32, warn: 33, fail: 31 } as const;

/** Shows each finding as it comes, or all as JSON. The exit code is 1 if one failed. */
export async function runChecks(context: CliContext, checks: readonly Check[], asJson: boolean): Promise<void> {
  const nameWidth = Math.max(...checks.map(({ name }) => name.length));
  const findings: (Finding & { readonly check: string })[] = [];
  // One after the other: a later check may rely on what an earlier one did, and people read along.
  for (const check of checks) {
    const finding = await look(check);
    findings.push({ check: check.name, ...finding });
    if (!asJson) show(context, check.name.padEnd(nameWidth), finding);
  }
  if (asJson) printJson(context, findings);
  if (findings.some(({ state }) => state === 'fail')) context.setExitCode(1);
}

async function look(check: Check): Promise<Finding> {
  try {
    return await check.look();
  } catch (error) {
    return { state: 'fail', detail: error instanceof Error ? error.message : String(error) };
  }
}

function show(context: CliContext, name: string, { state, detail, advice }: Finding): void {
  const word = state.toUpperCase().padEnd(4);
  const coloured = mayColour(process.stdout, context.environment) ? `\u001b[${COLOURS[state]}m${word}\u001b[0m` : word;
  context.print(`${coloured} ${name}  ${detail}`);
  if (advice !== undefined) context.print(`     ${' '.repeat(name.length)}  -> ${advice}`);
}
