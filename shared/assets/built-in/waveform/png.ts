import { PNG } from 'pngjs'

/** A PNG of opaque pixels, three bytes each (red, green, blue), row by row from the top. */
export function png(width: number, height: number, pixels: Uint8Array): Uint8Array {
  if (pixels.length !== width * height * 3) {
    throw new RangeError(`${pixels.length} bytes for ${width} × ${height} pixels`)
  }
  const image = new PNG({ width, height })
  image.data = Buffer.from(pixels)
  return PNG.sync.write(image, { colorType: 2, inputColorType: 2, inputHasAlpha: false })
}
