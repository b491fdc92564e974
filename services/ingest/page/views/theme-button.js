import { html, useState } from '../lib/vendor.js'

const THEMES = /** @type {const} */ (['auto', 'light', 'dark'])
const ICONS = {
  auto: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M9 4v16M6 6v12',
  light:
    'M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM12 1v3M12 20v3M1 12h3M20 12h3M4 4l2 2M18 18l2 2M4 20l2-2M18 6l2-2',
  dark: 'M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z',
}

/** Switches between light, dark and the system's theme. theme.js applies the theme before anything is drawn. */
export function ThemeButton() {
  const [theme, setTheme] = useState(
    () => THEMES.find((each) => each === localStorage.getItem('theme')) ?? 'auto',
  )
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'auto'
  const onClick = () => {
    localStorage.setItem('theme', next)
    document.documentElement.dataset.theme = next
    setTheme(next)
  }
  return html`<button class="theme slight" onClick=${onClick} aria-label=${`Colours: ${theme}; change to ${next}`} title=${`Colours: ${theme}`}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[theme]} /></svg>
  </button>`
}
