#!/usr/bin/env node
// What mount(8) runs for the type syncplicityfs: its arguments -> `syncplicityfs mount`.
import { mountHelperArguments } from '../src/cli/mount-helper.ts';
import { runToEnd } from './process.ts';

await runToEnd(() => mountHelperArguments(process.argv.slice(2)));
