/** Every code that only campaigns have: why one is paused, and why a line of a manifest is no item. */
export const CAMPAIGN_ERRORS = {
  PAUSED: {
    means: 'Somebody has paused the campaign.',
    remedy: 'Resume it: what was under way goes on with what is left.',
  },
  BUDGET: {
    means: 'The campaign has spent what it may.',
    remedy: 'Raise its budget, or take it away, and resume.',
  },
  MANIFEST_CHANGED: {
    means:
      'The manifest has changed while it was being read, so that no list would be the right one.',
    remedy: 'Cancel the campaign, and create another one of the manifest as it is now.',
  },
  MANIFEST_UNREADABLE: {
    means: 'The manifest is not there, or is not one.',
    remedy:
      'Read the sentence; mend the manifest and create another campaign, or put it there and resume.',
  },
  TWICE: {
    means: 'The list of the campaign has this track already.',
    remedy:
      'None: the first line counts. For other assets or another master of the track, create another campaign.',
  },
} as const satisfies Record<string, { means: string; remedy: string }>

/** The codes that a campaign can be paused with, beside TOO_MANY_REFUSED. */
export type CampaignCode = keyof typeof CAMPAIGN_ERRORS
