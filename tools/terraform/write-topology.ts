import { writeFileSync } from 'node:fs'
import { EXAMPLE, FILES, topologyFiles } from './topology-files.ts'

/** `npm run topology`: writes what Terraform has to know of the chain's topics. A test checks that it is current. */
for (const [name, text] of Object.entries(topologyFiles())) writeFileSync(name, text)
console.log(`${FILES.join(', ')}: written (the second for the routes ${EXAMPLE.join(', ')})`)
