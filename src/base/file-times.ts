// futimens(2): a file's time to the nanosecond. Node's own calls take seconds in a double, which is off by up to a quarter of a microsecond.
import koffi from 'koffi';

/** `times`: access and modification time, each as seconds and nanoseconds, 64 bits on every platform supported. */
type Futimens = (fd: number, times: BigInt64Array) => number;

const NANOSECONDS = 1_000_000_000n;

let native: Futimens | undefined;

/** Sets access and modification time of an open file, in nanoseconds since 1970. */
export function setFileTime(descriptor: number, timeNs: bigint): void {
  native ??= koffi.load(null).func('int futimens(int fd, const int64_t *times)') as unknown as Futimens;
  // Nanoseconds count upwards, also before 1970.
  const nanoseconds = ((timeNs % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  const seconds = (timeNs - nanoseconds) / NANOSECONDS;
  if (native(descriptor, BigInt64Array.of(seconds, nanoseconds, seconds, nanoseconds)) === 0) return;
  const code = koffi.errno();
  const name = Object.entries(koffi.os.errno).find(([, number]) => number === code)?.[0] ?? `errno ${code}`;
  throw new Error(`futimens failed: ${name}`);
}
