/** Formats a table: columns as wide as their widest cell, numbers aligned right. The first row is the header. */
export function table(rows: readonly (readonly string[])[]): string {
  const [header = []] = rows
  const widths = header.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows
    .map((row) =>
      widths
        .map((width, column) => {
          const cell = row[column] ?? ''
          return /^[\d.:,]*\??$/.test(rows[1]?.[column] ?? '')
            ? cell.padStart(width)
            : cell.padEnd(width)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
