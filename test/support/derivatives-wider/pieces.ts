export { default } from '../derivatives/pieces.ts'
