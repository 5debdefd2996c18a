/**
 * Node's `http`, without what an import of it brings along: that reads every export, `WebSocket` among them, and so
 * loads a whole HTTP client that nobody here asks for, 2 MB of memory.
 */
export const http = process.getBuiltinModule('node:http');
