import older from '../derivatives/echo.ts'

/** The same asset one version on. */
export default { ...older, version: 2 }
