// An image made smaller until it fits: each pixel is the mean of those that it stands for. Must not know file formats.
import type { Image } from './image.ts';

/** The image, no larger than that many pixels either way; as it is where it fits. */
export function fitted(image: Image, sideMaxPixels: number): Image {
  const scale = sideMaxPixels / Math.max(image.width, image.height);
  if (scale >= 1) return image;
  const width = Math.max(1, Math.round(image.width * scale));
  const height = Math.max(1, Math.round(image.height * scale));
  const data = new Uint8Array(width * height * 4);
  for (let y = 0, at = 0; y < height; y += 1) {
    const rows = span(y, height, image.height);
    for (let x = 0; x < width; x += 1, at += 4) data.set(mean(image, span(x, width, image.width), rows), at);
  }
  return { width, height, data };
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** The pixels of a line that one pixel of a shorter one stands for. */
function span(index: number, shorter: number, longer: number): Span {
  return { start: Math.floor((index * longer) / shorter), end: Math.ceil(((index + 1) * longer) / shorter) };
}

/** Colours count as much as they can be seen. */
function mean({ data, width }: Image, columns: Span, rows: Span): readonly number[] {
  let [red, green, blue, alpha, count] = [0, 0, 0, 0, 0];
  for (let y = rows.start; y < rows.end; y += 1) {
    for (let x = columns.start; x < columns.end; x += 1) {
      const at = (y * width + x) * 4;
      const weight = data[at + 3] as number;
      red += (data[at] as number) * weight;
      green += (data[at + 1] as number) * weight;
      blue += (data[at + 2] as number) * weight;
      alpha += weight;
      count += 1;
    }
  }
  if (alpha === 0) return [0, 0, 0, 0];
  return [red / alpha, green / alpha, blue / alpha, alpha / count].map(Math.round);
}
