import { mutantsOf } from '../mutant.ts'

const fitted = ['test/services/analyze/fitted.test.ts']
const off = 'a fitted constant is off by a few per cent: '

export default [
  ...mutantsOf('services/analyze/tempo/odds.ts', fitted, [
    { breaks: `${off}the prior's middle`, from: 'const USUAL = 128', to: 'const USUAL = 124' },
    {
      breaks: `${off}the prior's width`,
      from: 'const OCTAVES = 0.6',
      to: 'const OCTAVES = 0.62',
    },
    { breaks: `${off}beat`, from: 'beat: 0.52,', to: 'beat: 0.54,' },
    { breaks: `${off}half`, from: 'half: 0.38,', to: 'half: 0.39,' },
    { breaks: `${off}quarter`, from: 'quarter: 1.44,', to: 'quarter: 1.4,' },
    { breaks: `${off}sixth`, from: 'sixth: 0.51,', to: 'sixth: 0.5,' },
    { breaks: `${off}bar`, from: 'bar: 0.84,', to: 'bar: 0.86,' },
    { breaks: `${off}repetition`, from: ' repetition: 1.37,', to: ' repetition: 1.33,' },
    { breaks: `${off}bass drum`, from: 'lowRepetition: 5.89,', to: 'lowRepetition: 5.7,' },
    { breaks: `${off}consent`, from: 'const CONSENT = 1.22', to: 'const CONSENT = 1.25' },
  ]),
  ...mutantsOf('services/analyze/tempo/presence.ts', fitted, [
    {
      breaks: 'speech pulses enough for a tempo',
      from: 'const MIN_PROMINENCE = 7.5',
      to: 'const MIN_PROMINENCE = 7.2',
    },
    {
      breaks: 'held chords set in',
      from: 'const MIN_ONSETS = 0.1',
      to: 'const MIN_ONSETS = 0.098',
    },
  ]),
  ...mutantsOf('services/analyze/tempo/estimate-tempo.ts', fitted, [
    {
      breaks: 'the best of many has a tempo',
      from: 'const MIN_PROBABILITY = 0.3\n',
      to: 'const MIN_PROBABILITY = 0.28\n',
    },
    {
      breaks: 'what has a tempo has none',
      from: 'const MIN_PROBABILITY = 0.3\n',
      to: 'const MIN_PROBABILITY = 0.32\n',
    },
    { breaks: 'an estimate is certain', from: 'const SUREST = 0.99', to: 'const SUREST = 1' },
    {
      breaks: 'the second method is asked about one window',
      from: 'const MIN_VOTES = 2',
      to: 'const MIN_VOTES = 1',
    },
    {
      breaks: 'the second method is not believed when it does not agree',
      from: 'votes.every((vote) => sameButForOctave(vote, best.bpm))',
      to: 'true',
    },
  ]),
  ...mutantsOf('services/analyze/tempo/line.ts', fitted, [
    {
      breaks: `${off}what two passages may differ by`,
      from: 'const CONSTANT = 0.005',
      to: 'const CONSTANT = 0.0052',
    },
  ]),
  ...mutantsOf('services/analyze/tempo/metre.ts', fitted, [
    {
      breaks: `${off}what noise does to a spectrum`,
      from: 'const NOISE_DEVIATION = 0.5564',
      to: 'const NOISE_DEVIATION = 0.57',
    },
    {
      breaks: `${off}the weight of a pulse`,
      from: '[4, 0.8],',
      to: '[4, 0.78],',
    },
    {
      breaks: 'an empty place says how empty it is',
      from: 'Math.log(strength + 0.3)',
      to: 'Math.log(strength + 0.32)',
    },
  ]),
  ...mutantsOf('services/analyze/signal/envelope.ts', fitted, [
    {
      breaks: `${off}compression`,
      from: 'const COMPRESSION = 100',
      to: 'const COMPRESSION = 104',
    },
    {
      breaks: `${off}the bass drum's band`,
      from: 'const LOW_EDGE = 150',
      to: 'const LOW_EDGE = 156',
    },
  ]),
  ...mutantsOf('services/analyze/key/profile.ts', fitted, [
    {
      breaks: `${off}the bonus of minor`,
      from: 'const MINOR_BONUS = 0.04',
      to: 'const MINOR_BONUS = 0.041',
    },
    {
      breaks: `${off}a note of the major profile`,
      from: '0.0629, 0.0146',
      to: '0.061, 0.0146',
    },
    { breaks: `${off}a note of the minor profile`, from: '0.0682, 0.0138', to: '0.07, 0.0138' },
  ]),
  ...mutantsOf('services/analyze/key/estimate-key.ts', fitted, [
    {
      breaks: `${off}the margin's weight`,
      from: '22 * margin',
      to: '22.5 * margin',
    },
    { breaks: `${off}the weight of what is kept`, from: '1.29 * kept', to: '1.32 * kept' },
    { breaks: `${off}the intercept`, from: '0.22 - ', to: '0.23 - ' },
    {
      breaks: `${off}what chance fits`,
      from: 'const CHANCE = 0.68',
      to: 'const CHANCE = 0.67',
    },
    {
      breaks: `${off}the usual fit`,
      from: 'const DEFAULT_FIT = 0.8',
      to: 'const DEFAULT_FIT = 0.81',
    },
    { breaks: 'noise has tones', from: 'const TONAL = 0.08', to: 'const TONAL = 0.078' },
  ]),
  ...mutantsOf('services/analyze/key/sections.ts', fitted, [
    {
      breaks: `${off}what a change of key costs`,
      from: 'const CHANGE_COST = 0.8',
      to: 'const CHANGE_COST = 0.83',
    },
    { breaks: 'a segment is read alone', from: 'const REACH = 2', to: 'const REACH = 1' },
  ]),
]
