import assert from 'node:assert/strict';
import test from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { initText } from '../../../src/config/print/init.ts';
import { jsonSchema } from '../../../src/config/print/json-schema.ts';

// As an editor reads it: from the printed JSON.
const schema = JSON.parse(JSON.stringify(jsonSchema())) as z.core.JSONSchema.JSONSchema;
const editor = z.fromJSONSchema(schema);
const accepts = (yaml: string) => editor.safeParse(parse(yaml)).success;

test('the JSON Schema accepts what the loader accepts', () => {
  const good = [
    'watchers: { consul: {} }\nservices: { web: { bind: "127.0.0.1:8080" } }',
    'watchers: { consul: }\nservices: { web: }\nhaproxy:\ninclude:',
    'watchers: { main: { type: file, path: x } }',
    'watchers: { consul: { type: file, path: x } }',
    'watchers: { consul: { wait: "${WAIT}", maxConnections: "${MAX:-5}", required: "${R}" } }',
    'watchers: { consul: {} }\nservices: { web: { from: [ { consul: { tags: [a] } } ], bind: [":80"], mode: "${MODE}" } }',
    'watchers: { consul: {} }\nservices: { web: { from: { consul: } } }',
    'x-http: &http { mode: http }\nwatchers: { consul: {} }\nservices: { web: *http }',
    initText('consul'),
    initText('file'),
    initText('kubernetes'),
    'watchers: { main: { type: kubernetes, namespaces: [a, b] } }\nservices: { web: { from: { main: { port: http } } } }',
    'watchers: { kubernetes: { namespaces: all } }\nservices: { web: { from: { kubernetes: { port: 80 } } } }',
  ];
  for (const yaml of good) assert.ok(accepts(yaml), yaml);
});

test('the JSON Schema refuses what the loader refuses', () => {
  const bad = [
    'services: {}',
    'watchers: { main: {} }',
    'watchers: { consul: { maxConnections: many } }',
    'watchers: { consul: {} }\nservices: { web: { bnd: ":80" } }',
    'watchers: { consul: {} }\nservices: { web: { mode: htp } }',
    'watchers: { consul: {} }\nservices: { web: { from: { consul: { tgs: [a] } } } }',
    'watchers: { consul: {} }\nreload: { minInterval: 5 }',
    'watchers: { consul: {} }\nservices: { "my service": {} }',
  ];
  for (const yaml of bad) assert.ok(!accepts(yaml), yaml);
});

test('the JSON Schema says which draft it is and describes every key', () => {
  assert.equal(schema.$schema, 'https://json-schema.org/draft/2020-12/schema');
  assert.ok(schema.$id);
  const silent: string[] = [];
  const visit = (part: unknown, path: string): void => {
    if (typeof part !== 'object' || part === null) return;
    for (const [key, inner] of Object.entries(part)) {
      if (key === 'properties')
        for (const [name, property] of Object.entries(
          inner as Record<string, { description?: string; anyOf?: unknown }>,
        ))
          if (property.description === undefined && !path.endsWith('watchers')) silent.push(`${path}.${name}`);
      visit(inner, key === 'properties' ? path : `${path}.${key}`);
    }
  };
  visit(schema, '');
  assert.deepEqual(silent, []);
  assert.doesNotMatch(JSON.stringify(schema), /"expected":|"raw":|"secret":/);
});
