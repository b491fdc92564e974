export { default } from '../derivatives/echo.ts'
