/** What a title or an artist may be: text without control characters. */
export const TRACK_NAME = {
  maxLength: 500,
  pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]*$',
} as const
