/**
 * What the page uses of Preact and htm, which are served as one file at /page/lib/vendor.js.
 * A template's result is whatever Preact makes of it: nobody looks inside.
 */
export type Node = unknown
export function html(strings: TemplateStringsArray, ...values: unknown[]): Node
export function render(tree: Node, parent: Element): void
export function useState<T>(initial: T | (() => T)): [T, (next: T | ((before: T) => T)) => void]
export function useRef<T>(initial: T): { current: T }
/** The reference of an element: null until it is there. */
export function useRef<T>(initial: null): { current: T | null }
export function useMemo<T>(make: () => T, inputs: readonly unknown[]): T
// A component's effect returns how it is undone, or nothing at all.
type Effect = (effect: () => unknown, inputs: readonly unknown[]) => void
export const useEffect: Effect
export const useLayoutEffect: Effect
