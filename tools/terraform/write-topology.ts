import { writeFileSync } from 'node:fs'
import { EXAMPLE, FILES, topologyFiles } from './topology-files.ts'

/** `npm run topology`: writes the topics and subscriptions for Terraform. A test checks that the files are current. */
for (const [name, text] of Object.entries(topologyFiles())) writeFileSync(name, text)
console.log(`${FILES.join(', ')}: written (the second for the routes ${EXAMPLE.join(', ')})`)
