// The storage platforms a connection can be of.

export type PlatformId = 'fs' | 'syncplicity';

export interface Platform {
  readonly id: PlatformId;
  readonly name: string;
}

/** All platforms, in the order they are listed. */
export const platforms: readonly Platform[] = [
  { id: 'fs', name: 'My Computer' },
  { id: 'syncplicity', name: 'Syncplicity' },
];

/** The platform with this id or name, whatever its case. */
export function findPlatform(idOrName: string): Platform | undefined {
  const wanted = idOrName.toLowerCase();
  return platforms.find(({ id, name }) => id === wanted || name.toLowerCase() === wanted);
}

/** What to call a platform in a listing. */
export function platformName(id: PlatformId): string {
  return platforms.find((platform) => platform.id === id)?.name ?? id;
}
