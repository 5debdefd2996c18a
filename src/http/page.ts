/** The page for people: its files, which hold nothing of this Myelin; what it shows it asks for itself. */
import type { Reply, Route } from './server.ts';

/** Only this server's own files and answers: nothing that a service is named after can become a script, or leave the page. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const headers = {
  'content-security-policy': policy,
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
};

const files = {
  '/': ['html', 'text/html'],
  '/page.css': ['css', 'text/css'],
  '/page.js': ['js', 'text/javascript'],
  '/page.svg': ['svg', 'image/svg+xml'],
} as const;

export function pageRoutes(): readonly Route[] {
  return Object.entries(files).map(([path, [name, type]]) => ({
    method: 'GET',
    path,
    // Loaded for those who open the page.
    answer: async (): Promise<Reply> => ({
      status: 200,
      body: (await import('../page/files.ts')).files[name],
      contentType: `${type}; charset=utf-8`,
      headers,
    }),
  }));
}
