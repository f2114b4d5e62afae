#!/usr/bin/env node
// argv -> program -> exit code.
import { runToEnd } from './process.ts';

await runToEnd(() => process.argv.slice(2));
