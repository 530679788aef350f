// The tools of LibreChat's agents: execute_code, and programmatic tool calling. Arguments: URL TOKEN.

import assert from 'node:assert/strict';
import { tool } from '@langchain/core/tools';

const [, , url, token] = process.argv;
const { createCodeExecutionTool, createProgrammaticToolCallingTool } = await import('@librechat/agents');
const authHeaders = { Authorization: `Bearer ${token}` };

// A message of a model that calls a tool, as the agent's graph passes it.
const call = (name, args, extra = {}) => ({ id: '1', name, args, type: 'tool_call', ...extra });

for (const baseUrl of [url, `${url}/v1`]) {
  const execute = createCodeExecutionTool({ baseUrl, authHeaders });
  const code = 'print(6 * 7)\nopen("/mnt/data/out.csv", "w").write("a,b\\n1,2\\n")';
  const message = await execute.invoke(call('execute_code', { lang: 'py', code }));
  assert.match(message.content, /stdout:\n42\n/);
  const [file] = message.artifact.files;
  assert.equal(file.name, 'out.csv');

  // The file is an input of the next call.
  const ref = { ...file, kind: 'user', resource_id: file.id };
  const read = { lang: 'py', code: 'print(open("/mnt/data/out.csv").read())' };
  const second = await execute.invoke(call('execute_code', read, { _injected_files: [ref] }));
  assert.match(second.content, /a,b\n1,2/);

  const failed = await execute.invoke(call('execute_code', { lang: 'py', code: 'import sys\nprint("x")\n1 / 0' }));
  assert.match(failed.content, /ZeroDivisionError/);
}

// Tools of the client, called by the code.
const weather = tool(async ({ city }) => ({ city, degrees: city.length }), {
  name: 'get_weather',
  description: 'Returns the weather of a city.',
  schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
});
const broken = tool(async () => { throw new Error('out of order'); }, {
  name: 'broken-tool',
  description: 'Fails.',
  schema: { type: 'object', properties: {} },
});
const toolMap = new Map([[weather.name, weather], [broken.name, broken]]);
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const toolDefs = [
  { name: 'get_weather', description: 'Returns the weather of a city.', parameters, allowed_callers: ['code_execution'] },
  { name: 'broken-tool', description: 'Fails.', parameters: { type: 'object', properties: {} }, allowed_callers: ['code_execution'] },
];
const programmatic = createProgrammaticToolCallingTool({ baseUrl: url, authHeaders });
const code = `
import asyncio
state = {"runs": 0}
state["runs"] += 1
first = await get_weather(city="Rome")
both = await asyncio.gather(get_weather(city="Oslo"), get_weather(city="Berlin"))
print(first["degrees"], [one["city"] for one in both], state["runs"])
try:
    await broken_tool()
except Exception as error:
    print("failed:", error)
`;
const invoke = (args) => programmatic.invoke(call('run_tools_with_code', args, { toolMap, toolDefs }));
const result = await invoke({ code, tool_manifest: ['get_weather', 'broken-tool'] });
assert.match(result.content, /4 \['Oslo', 'Berlin'\] 1\nfailed: .*out of order/);
await assert.rejects(
  invoke({ code: 'raise ValueError("no")', tool_manifest: ['get_weather'] }),
  /Execution exited with code 1[\s\S]*ValueError: no/,
);
console.log('done');
