/** One object for all endpoints of one place, as thousands of them share a few nodes. It is a memo: nothing depends on it. */
import { type EndpointOrigin, originFields } from '../model.ts';

const most = 4096;
const known = new Map<string, EndpointOrigin>();

export function sharedOrigin(origin: EndpointOrigin): EndpointOrigin {
  const key = JSON.stringify(originFields.map((field) => origin[field]));
  const same = known.get(key);
  if (same !== undefined) return same;
  // Nodes come and go for as long as the process runs.
  if (known.size === most) known.clear();
  known.set(key, origin);
  return origin;
}
