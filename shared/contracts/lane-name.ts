import { Type } from 'typebox'
import { LANES } from './lanes.ts'

/** The schema of a lane's name. It is apart from the lanes, so that who needs only those does not load TypeBox. */
export function LaneName(description: string) {
  return Type.Enum(LANES, { description })
}
