import { html, useEffect, useRef } from '../lib/vendor.js'

/**
 * A modal dialog. Escape closes it, and the focus returns to where it was. Without `onClose` it cannot be
 * closed.
 * @param {{ title: string, action: string, back?: string, onDone: () => void, onClose?: () => void, children?: unknown }}
 * props `back`: what the button says that closes it
 */
export function Dialog({ title, action, back = 'Cancel', onDone, onClose, children }) {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null))
  useEffect(() => {
    const { activeElement } = document
    dialog.current?.showModal()
    return () => activeElement instanceof HTMLElement && activeElement.focus()
  }, [])
  const onCancel = (/** @type {Event} */ event) => {
    event.preventDefault()
    onClose?.()
  }
  const onSubmit = (/** @type {Event} */ event) => {
    event.preventDefault()
    onDone()
  }
  return html`<dialog ref=${dialog} onCancel=${onCancel} aria-labelledby="dialog-title">
    <form onSubmit=${onSubmit}>
      <h2 id="dialog-title">${title}</h2>
      ${children}
      <div class="buttons">
        ${onClose && html`<button type="button" onClick=${onClose}>${back}</button>`}
        <button class="main">${action}</button>
      </div>
    </form>
  </dialog>`
}
