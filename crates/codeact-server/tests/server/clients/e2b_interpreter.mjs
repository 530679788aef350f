// E2B's JavaScript SDK: the same in short.

import assert from 'node:assert'
import { Sandbox } from '@e2b/code-interpreter'

const sandbox = await Sandbox.create({ metadata: { test: 'js' }, envs: { A: 'b' } })
await sandbox.runCode('x = 1')
const out = []
const execution = await sandbox.runCode("print('Hello'); x += 1; x", { onStdout: (line) => out.push(line.line) })
assert.equal(execution.text, '2')
assert.equal(execution.executionCount, 2)
assert.equal(out.join(''), 'Hello\n')
assert.equal((await sandbox.runCode("import os; os.environ['A']")).text, 'b')
assert.equal((await sandbox.runCode('y')).error.name, 'NameError')

const context = await sandbox.createCodeContext()
assert.equal((await sandbox.runCode('x', { context })).error.name, 'NameError')
assert.ok((await sandbox.listCodeContexts()).some((one) => one.id === context.id))
await sandbox.restartCodeContext(context)
await sandbox.removeCodeContext(context)

const plot = await sandbox.runCode('import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()')
assert.ok(plot.results[0].png && plot.results[0].chart.type === 'line', JSON.stringify(plot.results[0].formats()))

await assert.rejects(sandbox.runCode('import time; time.sleep(300)', { timeoutMs: 1000 }), /timed out|timeout/i)
assert.equal((await sandbox.runCode('x')).text, '2')

await sandbox.files.write('a.txt', 'from js')
assert.equal(await sandbox.files.read('a.txt'), 'from js')
assert.equal((await sandbox.commands.run('cat a.txt')).stdout, 'from js')

const pages = Sandbox.list({ query: { metadata: { test: 'js' } } })
assert.deepEqual((await pages.nextItems()).map((one) => one.sandboxId), [sandbox.sandboxId])
assert.ok(await sandbox.pause())
const resumed = await Sandbox.connect(sandbox.sandboxId)
assert.equal((await resumed.runCode('x')).text, '2')
assert.ok(await sandbox.kill())
assert.equal(await sandbox.isRunning(), false)
console.log('ok')
