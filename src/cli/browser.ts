// Opens an address in the user's browser, where there is one. Must not know what the address is for.
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** True when something was started that shows the address. It is not waited for. */
export async function openBrowser(address: URL, environment: NodeJS.ProcessEnv): Promise<boolean> {
  const command = browserCommand(environment, process.platform);
  if (command === undefined) return false;
  const child = spawn(command, [address.href], { detached: true, stdio: 'ignore', env: environment });
  try {
    await once(child, 'spawn');
  } catch {
    // Not installed: the address is shown to the user instead.
    return false;
  }
  child.unref();
  return true;
}

/** Without a display, a text browser would take the terminal over. */
function browserCommand(environment: NodeJS.ProcessEnv, platform: NodeJS.Platform): string | undefined {
  if (platform === 'darwin') return 'open';
  return environment['DISPLAY'] || environment['WAYLAND_DISPLAY'] ? 'xdg-open' : undefined;
}
