// E2B's JavaScript SDK: files and commands, in short.

import assert from 'node:assert'
import { CommandExitError, Sandbox } from 'e2b'

const sandbox = await Sandbox.create({ timeoutMs: 600000 })
await sandbox.files.write('a.txt', 'hello')
assert.ok(await sandbox.files.read('a.txt') === 'hello', 'read')
const w = await sandbox.files.write([{ path: 'm/1', data: 'one' }, { path: 'm/2', data: new Blob(['two']) }])
assert.ok(w.length === 2 && w[1].path === '/home/user/m/2', JSON.stringify(w))
assert.ok((await sandbox.files.list('m')).map(e => e.name).join() === '1,2', 'list')
assert.ok(new TextDecoder().decode(await sandbox.files.read('m/2', { format: 'bytes' })) === 'two', 'bytes')
assert.ok(await sandbox.files.exists('m/1') && !(await sandbox.files.exists('x')), 'exists')
assert.ok((await sandbox.files.getInfo('m/1')).size === 3, 'info')
assert.ok(await sandbox.files.makeDir('d') === true && await sandbox.files.makeDir('d') === false, 'mkdir')
await sandbox.files.rename('m/1', 'd/3'); await sandbox.files.remove('m')
const events = []
const chunks = []
const watch = await sandbox.files.watchDir('d', e => events.push(e.type + ':' + e.name))
const r = await sandbox.commands.run('echo out; echo err >&2; echo x > d/new', { onStdout: d => chunks.push(d) })
assert.equal(chunks.join(''), 'out\n')
assert.ok(r.stdout === 'out\n' && r.stderr === 'err\n' && r.exitCode === 0, JSON.stringify(r))
for (let i = 0; i < 2000 && !events.includes('create:new'); i++) await new Promise(r => setTimeout(r, 50))
assert.ok(events.includes('create:new'), events.join())
await watch.stop()
try { await sandbox.commands.run('exit 3'); assert.ok(false, 'exit') } catch (e) { assert.ok(e instanceof CommandExitError && e.exitCode === 3, String(e)) }
const h = await sandbox.commands.run('read a; echo got $a', { background: true, stdin: true })
await sandbox.commands.sendStdin(h.pid, 'line\n')
assert.ok((await h.wait()).stdout === 'got line\n', 'stdin')
const k = await sandbox.commands.run('sleep 100', { background: true })
assert.ok((await sandbox.commands.list()).length === 1, 'list')
assert.ok(await k.kill() === true, 'kill')
try { await k.wait(); assert.ok(false, 'killed') } catch (e) { assert.ok(e.exitCode === -1 || e.exitCode === undefined, String(e)) }
assert.ok(await (await fetch(await sandbox.downloadUrl('a.txt'))).text() === 'hello', 'url')
assert.ok((await sandbox.commands.run('python3 -c "print(6*7)"')).stdout === '42\n', 'py')
await sandbox.kill()
console.log('done')
