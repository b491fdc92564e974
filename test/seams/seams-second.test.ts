import { killedAtEveryOther } from './seams.ts'

killedAtEveryOther(1)
