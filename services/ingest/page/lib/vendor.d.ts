/**
 * The part of Preact and htm that the page uses, served as one file at /page/lib/vendor.js. The result of a
 * template is opaque.
 */
export type Node = unknown
export function html(strings: TemplateStringsArray, ...values: unknown[]): Node
export function render(tree: Node, parent: Element): void
export function useState<T>(initial: T | (() => T)): [T, (next: T | ((before: T) => T)) => void]
export function useRef<T>(initial: T): { current: T }
/** The reference to an element: null until the element exists. */
export function useRef<T>(initial: null): { current: T | null }
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T
// An effect returns its clean-up function, or nothing.
type Effect = (effect: () => unknown, inputs: readonly unknown[]) => void
export const useEffect: Effect
export const useLayoutEffect: Effect
