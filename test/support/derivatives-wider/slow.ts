export { default } from '../derivatives-slow/slow.ts'
