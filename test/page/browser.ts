import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import { type Browser, chromium, type Page } from 'playwright-core'
import { chromiumPath } from '../support/chromium.ts'

/** The system's Chromium, headless and muted. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath() ?? 'chromium',
    args: ['--no-sandbox', '--mute-audio', '--autoplay-policy=no-user-gesture-required'],
  })
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The serious and critical findings of axe on the current page, one line each. */
export async function barriers(page: Page): Promise<readonly string[]> {
  await page.evaluate(await axe)
  const { violations } = (await page.evaluate('axe.run()')) as AxeResults
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    )
}

interface Dropped {
  readonly name: string
  readonly bytes: Uint8Array
}

/** Drops files onto the page, as a user does from the desktop. */
export async function drop(page: Page, files: readonly Dropped[]): Promise<void> {
  const encoded = files.map(({ name, bytes }) => ({
    name,
    base64: Buffer.from(bytes).toString('base64'),
  }))
  // The types of tests have no DOM, so the code is passed to the browser as text.
  await page.evaluate(
    `((files) => {
      const dataTransfer = new DataTransfer()
      for (const { name, base64 } of files) {
        const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))
        dataTransfer.items.add(new File([bytes], name, { type: 'audio/wav' }))
      }
      for (const type of ['dragover', 'drop']) {
        const options = { bubbles: true, cancelable: true, dataTransfer }
        document.body.dispatchEvent(new DragEvent(type, options))
      }
    })(${JSON.stringify(encoded)})`,
  )
}
